// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What the Matrix side asks of the SFU.
package protocol FocusControlling: Sendable {
    /// Makes the room exist; fine when it does already.
    func createRoom(named room: String, emptyTimeoutSeconds: UInt32, departureTimeoutSeconds: UInt32) async throws
    /// Takes a participant out of a room; fine when it is not there.
    func removeParticipant(room: String, identity: String) async
}
