// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU

/// What the Matrix side may ask of the focus in this process.
struct FocusControl: FocusControlling {
    let directory: RoomDirectory
    let revocations: RevocationKeeper

    func createRoom(
        named room: String, emptyTimeoutSeconds: UInt32, departureTimeoutSeconds: UInt32, maximumParticipants: UInt32
    ) async throws {
        // A room that is there keeps its settings: the second member of a call changes nothing.
        if await directory.roomExists(named: room) { return }
        try await directory.createRoom(
            named: room,
            wishes: RoomSettings.Wishes(
                emptyTimeoutSeconds: emptyTimeoutSeconds, departureTimeoutSeconds: departureTimeoutSeconds,
                maximumParticipants: maximumParticipants))
    }

    func removeParticipant(room: String, identity: String) async {
        _ = await directory.removeParticipant(identity: identity, room: room)
        await revocations.note(FocusParticipant(room: room, identity: identity))
    }

    func setRights(_ rights: ParticipantRights, of participant: FocusParticipant) async {
        await directory.setRights(rights, ofIdentity: participant.identity, inRoom: participant.room)
    }

    func muteAll(of participant: FocusParticipant) async -> Int? {
        await directory.muteAll(ofIdentity: participant.identity, inRoom: participant.room)
    }

    func endRoom(named room: String) async -> Bool {
        await directory.deleteRoom(named: room)
    }

    func presence(inRoom room: String) async -> [String: ParticipantPresence] {
        await directory.presence(inRoom: room)
    }
}
