// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// `m.call.asserted_identity`: a gateway says who is really at the other end (MSC3086). A claim of its sender.
package struct CallAssertedIdentity: Equatable, Sendable {
    package static let maximumDisplayNameByteCount = 1024

    package let header: LegacyCallHeader
    package let userID: UserID?
    package let displayName: String?
    package let avatarURL: String?

    init(_ event: RoomEvent) throws(EventRefusal) {
        self.header = try LegacyCallHeader(event)
        guard let identity = event.content["asserted_identity"]?.object else { throw .missingAssertedIdentity }
        self.userID = identity["id"]?.string.flatMap(UserID.init)
        self.displayName = identity.text("display_name", upTo: Self.maximumDisplayNameByteCount)
        self.avatarURL = identity.text("avatar_url", upTo: Self.maximumDisplayNameByteCount)
    }
}
