// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a participant may do in its room, as somebody outside the focus decides it.
package struct ParticipantRights: Hashable, Sendable {
    package var canPublish: Bool
    package var canSubscribe: Bool
    package var canPublishData: Bool
    /// Administer the room through the server API with its own token.
    package var canAdminister: Bool

    package init(canPublish: Bool, canSubscribe: Bool, canPublishData: Bool, canAdminister: Bool = false) {
        self.canPublish = canPublish
        self.canSubscribe = canSubscribe
        self.canPublishData = canPublishData
        self.canAdminister = canAdminister
    }
}

/// That a participant is in a room.
package struct ParticipantPresence: Equatable, Sendable {
    /// Its media was connected at least once.
    package var wasActive: Bool
    /// The session's own id: another one means that the client came anew.
    package var session: String
    package var joinedAtMilliseconds: Int64

    package init(wasActive: Bool, session: String, joinedAtMilliseconds: Int64) {
        self.wasActive = wasActive
        self.session = session
        self.joinedAtMilliseconds = joinedAtMilliseconds
    }
}
