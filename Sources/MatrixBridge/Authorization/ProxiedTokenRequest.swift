// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// A token request that a homeserver passed on (MSC4195 over MSC4512): the homeserver says who asks, so there is no
/// OpenID token.
package struct ProxiedTokenRequest: Equatable, Sendable {
    package var room: RoomID
    package var slot: String
    package var memberID: String
    /// The focus that is meant, by its public URL.
    package var url: String
    /// From a client: the server whose focus is meant; nil for its own.
    package var server: ServerName?
    /// From a server: its user.
    package var user: UserID?
    package var delayID: String?

    package init(
        room: RoomID, slot: String, memberID: String, url: String, server: ServerName? = nil, user: UserID? = nil,
        delayID: String? = nil,
    ) {
        self.room = room
        self.slot = slot
        self.memberID = memberID
        self.url = url
        self.server = server
        self.user = user
        self.delayID = delayID
    }

    package init(_ body: [UInt8]) throws(TokenExchangeRefusal) {
        let fields = try TokenRequestFields(body)
        self.init(
            room: try fields.room("room_id"), slot: try fields.required("slot_id"),
            memberID: try fields.required("member_id"), url: try fields.required("url"))
        if let name = try fields.optional("server_name") {
            guard let server = ServerName(name) else { throw .malformedField("server_name") }
            self.server = server
        }
        if let name = try fields.optional("user_id") {
            guard let user = UserID(name) else { throw .malformedField("user_id") }
            self.user = user
        }
        delayID = try fields.optional("delay_id")
    }

    /// As the exchange knows requests.
    func exchanged(delegation: TokenRequest.Delegation? = nil) -> TokenRequest {
        TokenRequest(
            room: room, form: .member(slot: slot, memberID: memberID), openIDToken: nil, delegation: delegation)
    }

    /// What another homeserver's service is asked with.
    func body(for user: UserID) -> JSONValue {
        .object([
            "user_id": .string(user.rawValue), "url": .string(url), "room_id": .string(room.rawValue),
            "slot_id": .string(slot), "member_id": .string(memberID),
        ])
    }
}
