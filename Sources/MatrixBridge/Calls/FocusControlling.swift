// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import FocusSFU

/// What the Matrix side asks of the SFU.
package protocol FocusControlling: Sendable {
    /// Makes the room exist; fine when it does already.
    ///
    /// - Parameter maximumParticipants: 0 for no limit but that of the focus.
    func createRoom(
        named room: String, emptyTimeoutSeconds: UInt32, departureTimeoutSeconds: UInt32, maximumParticipants: UInt32,
    ) async throws
    /// Takes a participant out of a room, and makes its tokens void; fine when it is not there.
    func removeParticipant(room: String, identity: String) async
    /// Gives a participant other rights, now and when it comes back with a token from before.
    func setRights(_ rights: ParticipantRights, of participant: FocusParticipant) async
    /// Mutes all tracks of a participant once; nil when it is not there.
    func muteAll(of participant: FocusParticipant) async -> Int?
    /// Ends a room for everybody in it; false when there is none.
    func endRoom(named room: String) async -> Bool
    /// Who is in a room, by identity.
    func presence(inRoom room: String) async -> [String: ParticipantPresence]
}
