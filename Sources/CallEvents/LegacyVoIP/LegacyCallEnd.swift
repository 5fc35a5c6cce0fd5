// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Which one-to-one call an event is about: call ids are unique within a room only.
package struct LegacyCallKey: Hashable, Sendable {
    package let roomID: RoomID
    package let callID: String

    package init(roomID: RoomID, callID: String) {
        self.roomID = roomID
        self.callID = callID
    }
}

extension LegacyCallHeader {
    package var key: LegacyCallKey { LegacyCallKey(roomID: roomID, callID: callID) }
}

/// Our end of a call: what every event that we send in it says of itself.
package struct LegacyCallEnd: Hashable, Sendable {
    package let key: LegacyCallKey
    /// Ours in this call; version 0 has none.
    package let partyID: String?
    package let version: LegacyCallHeader.Version

    package init(key: LegacyCallKey, partyID: String?, version: LegacyCallHeader.Version) {
        self.key = key
        self.partyID = version == .zero ? nil : partyID
        self.version = version
    }
}
