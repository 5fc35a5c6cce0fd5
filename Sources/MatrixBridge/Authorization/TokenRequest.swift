// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// What a client sends to get a token for a call, checked for shape but not yet believed.
///
/// `POST /sfu/get` (Gen A) and `POST /get_token` (Gen B) of MatrixRTC's LiveKit backend (MSC4195). Unknown members are
/// ignored, because old and new clients overlap.
package struct TokenRequest: Equatable, Sendable {
    /// Which of the endpoints, and what only that one carries.
    package enum Form: Equatable, Sendable {
        case compatibility(device: DeviceID)
        case slot(String, memberID: String, device: DeviceID, claimedUser: UserID?)
        /// Through a homeserver; the device is not known.
        case member(slot: String, memberID: String)
    }

    /// What the endpoint's clients speak.
    package var generation: RTCMembership.Generation {
        switch form {
        case .compatibility: .sessionState
        case .slot: .stickyDraft
        case .member: .sticky
        }
    }

    /// The device as the client claims it; nil where it does not say.
    package var device: DeviceID? {
        switch form {
        case .compatibility(let device), .slot(_, _, let device, _): device
        case .member: nil
        }
    }

    /// The OpenID token as the user's homeserver made it (Client-Server API, "OpenID").
    package struct OpenIDToken: Equatable, Sendable {
        package var accessToken: String
        /// The server that can tell whose token it is.
        package var server: ServerName

        package init(accessToken: String, server: ServerName) {
            self.accessToken = accessToken
            self.server = server
        }
    }

    package var room: RoomID
    package var form: Form
    /// Nil when a homeserver vouches for the user.
    package var openIDToken: OpenIDToken?
    /// The client wants us to keep its delayed leave event.
    package var delegation: Delegation?

    /// A delayed leave event (MSC4140) that is handed over.
    package struct Delegation: Equatable, Sendable {
        package var delayID: String
        /// Milliseconds; nil when the client leaves it to us to look that up.
        package var delay: UInt64?

        package init(delayID: String, delay: UInt64?) {
            self.delayID = delayID
            self.delay = delay
        }
    }

    /// Larger bodies are refused before they are read.
    package static let maximumBodyByteCount = 1 << 20

    package init(room: RoomID, form: Form, openIDToken: OpenIDToken?, delegation: Delegation? = nil) {
        self.room = room
        self.form = form
        self.openIDToken = openIDToken
        self.delegation = delegation
    }

    /// Reads a body of `POST /sfu/get`.
    package static func compatibility(_ body: [UInt8]) throws(TokenExchangeRefusal) -> TokenRequest {
        let fields = try TokenRequestFields(body)
        let room = try fields.room("room")
        let device = try fields.device(try fields.required("device_id"), at: "device_id")
        return TokenRequest(
            room: room, form: .compatibility(device: device), openIDToken: try fields.openIDToken(),
            delegation: try fields.delegation())
    }

    /// Reads a body of `POST /get_token`. The member's id may stand in `member.id` or, flat, in `member_id`, and then
    /// the device in `device_id`.
    package static func slot(_ body: [UInt8]) throws(TokenExchangeRefusal) -> TokenRequest {
        try slot(body, delayIsRequired: true)
    }

    /// Reads a body of `POST /delegate_delayed_leave`: as for `/get_token`, and the delayed event must be there.
    package static func delegation(_ body: [UInt8]) throws(TokenExchangeRefusal) -> TokenRequest {
        let request = try slot(body, delayIsRequired: false)
        guard request.delegation != nil else { throw .missingField("delay_id") }
        return request
    }

    private static func slot(
        _ body: [UInt8], delayIsRequired: Bool,
    ) throws(TokenExchangeRefusal) -> TokenRequest {
        let fields = try TokenRequestFields(body)
        let room = try fields.room("room_id")
        let slot = try fields.required("slot_id")
        let form: Form
        if let member = try fields.object("member") {
            let flatID = try fields.optional("member_id")
            let memberID =
                if let id = try member.optional("id") ?? flatID { id } else { try member.required("id") }
            let claimed = try member.required("claimed_user_id")
            guard let user = UserID(claimed) else { throw .malformedField("member.claimed_user_id") }
            let device = try member.device(
                try member.required("claimed_device_id"), at: "member.claimed_device_id")
            form = .slot(slot, memberID: memberID, device: device, claimedUser: user)
        } else {
            let memberID = try fields.required("member_id")
            let device = try fields.device(try fields.required("device_id"), at: "device_id")
            form = .slot(slot, memberID: memberID, device: device, claimedUser: nil)
        }
        return TokenRequest(
            room: room, form: form, openIDToken: try fields.openIDToken(),
            delegation: try fields.delegation(delayIsRequired: delayIsRequired))
    }
}

/// The members of one object of a request. A missing, null or empty member is missing; a wrong type is no valid JSON
/// for this endpoint.
struct TokenRequestFields {
    private let members: JSONObject
    /// Where the object stands, for messages.
    private let prefix: String

    private static let limits = JSONLimits(byteCount: TokenRequest.maximumBodyByteCount, valueCount: 4_096, depth: 16)
    /// Longer values than any identifier; tokens may be long.
    private static let maximumTextByteCount = 4_096

    init(_ body: [UInt8]) throws(TokenExchangeRefusal) {
        guard let members = (try? JSONValue.parse(body, limits: Self.limits))?.object else { throw .notJSON }
        self.init(members: members, prefix: "")
    }

    private init(members: JSONObject, prefix: String) {
        self.members = members
        self.prefix = prefix
    }

    func object(_ name: String) throws(TokenExchangeRefusal) -> TokenRequestFields? {
        switch members[name] {
        case nil, .null: nil
        case .object(let members): TokenRequestFields(members: members, prefix: prefix + name + ".")
        default: throw .wrongType(prefix + name)
        }
    }

    func optional(_ name: String) throws(TokenExchangeRefusal) -> String? {
        switch members[name] {
        case nil, .null, .string(""): return nil
        case .string(let text):
            guard text.utf8.count <= Self.maximumTextByteCount else { throw .malformedField(prefix + name) }
            return text
        default: throw .wrongType(prefix + name)
        }
    }

    func required(_ name: String) throws(TokenExchangeRefusal) -> String {
        guard let text = try optional(name) else { throw .missingField(prefix + name) }
        return text
    }

    func room(_ name: String) throws(TokenExchangeRefusal) -> RoomID {
        guard let room = RoomID(try required(name)) else { throw .malformedField(prefix + name) }
        return room
    }

    func device(_ text: String, at place: String) throws(TokenExchangeRefusal) -> DeviceID {
        guard let device = DeviceID(text) else { throw .malformedField(place) }
        return device
    }

    func openIDToken() throws(TokenExchangeRefusal) -> TokenRequest.OpenIDToken {
        guard let token = try object("openid_token") else { throw .missingField("openid_token") }
        let accessToken = try token.required("access_token")
        guard let server = ServerName(try token.required("matrix_server_name")) else {
            throw .malformedField("openid_token.matrix_server_name")
        }
        return TokenRequest.OpenIDToken(accessToken: accessToken, server: server)
    }

    /// Both delay fields or none; `delay_cs_api_url` is ignored, because a client must not choose where we connect.
    func delegation(delayIsRequired: Bool = true) throws(TokenExchangeRefusal) -> TokenRequest.Delegation? {
        let delayID = try optional("delay_id")
        switch members["delay_timeout"] {
        case nil, .null:
            guard let delayID else { return nil }
            guard !delayIsRequired else { throw .missingField("delay_timeout") }
            return TokenRequest.Delegation(delayID: delayID, delay: nil)
        case .some(let value):
            guard let milliseconds = value.integer else { throw .wrongType("delay_timeout") }
            guard let delayID else { throw .missingField("delay_id") }
            guard milliseconds > 0 else { throw .malformedField("delay_timeout") }
            return TokenRequest.Delegation(delayID: delayID, delay: UInt64(milliseconds))
        }
    }
}
