// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How a room is run.
package struct RoomSettings: Equatable, Sendable {
    /// How long it waits for its first participant.
    package var emptyTimeoutSeconds: UInt32
    /// How long it stays after its last one.
    package var departureTimeoutSeconds: UInt32
    /// Zero for as many as the server takes.
    package var maximumParticipants: UInt32
    package var metadata = ""

    package init(emptyTimeoutSeconds: UInt32, departureTimeoutSeconds: UInt32, maximumParticipants: UInt32) {
        self.emptyTimeoutSeconds = emptyTimeoutSeconds
        self.departureTimeoutSeconds = departureTimeoutSeconds
        self.maximumParticipants = maximumParticipants
    }

    /// What a request says about them; nil for what it leaves as it is.
    package struct Wishes: Sendable {
        package var emptyTimeoutSeconds: UInt32?
        package var departureTimeoutSeconds: UInt32?
        package var maximumParticipants: UInt32?
        package var metadata: String?

        package init(
            emptyTimeoutSeconds: UInt32? = nil, departureTimeoutSeconds: UInt32? = nil,
            maximumParticipants: UInt32? = nil, metadata: String? = nil
        ) {
            self.emptyTimeoutSeconds = emptyTimeoutSeconds
            self.departureTimeoutSeconds = departureTimeoutSeconds
            self.maximumParticipants = maximumParticipants
            self.metadata = metadata
        }
    }

    /// These settings with what is wished for in place of what was.
    func applying(_ wishes: Wishes) -> Self {
        var new = self
        new.emptyTimeoutSeconds = wishes.emptyTimeoutSeconds ?? emptyTimeoutSeconds
        new.departureTimeoutSeconds = wishes.departureTimeoutSeconds ?? departureTimeoutSeconds
        new.maximumParticipants = wishes.maximumParticipants ?? maximumParticipants
        new.metadata = wishes.metadata ?? metadata
        return new
    }
}
