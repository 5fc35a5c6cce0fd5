// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// `m.call.negotiate`: a new offer or answer in a running call (hold, other media, ICE restart).
package struct CallNegotiate: Equatable, Sendable {
    package let header: LegacyCallHeader
    package let description: LegacyCallDescription
    package let lifetime: Milliseconds
    package let streams: CallStreamMetadata?

    init(_ event: RoomEvent) throws(EventRefusal) {
        self.header = try LegacyCallHeader(event)
        self.description = try LegacyCallDescription(event.content["description"], allowing: [.offer, .answer])
        self.lifetime = try LegacyCallHeader.lifetime(event)
        self.streams = CallStreamMetadata(event.content)
    }
}
