// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Logging
import MatrixBridge

/// A focus that writes down what it is told.
actor FakeFocus: FocusControlling {
    struct Failure: Error {}

    private(set) var created: [String] = []
    private(set) var removed: [FocusParticipant] = []
    private(set) var timeouts: (empty: UInt32, departure: UInt32)?
    private(set) var maximumParticipants: UInt32?
    private(set) var rights: [FocusParticipant: [ParticipantRights]] = [:]
    private(set) var ended: [String] = []
    /// Who is in which room.
    var present: [String: [String: ParticipantPresence]] = [:]
    var fails = false

    func fail() {
        fails = true
    }

    func createRoom(
        named room: String, emptyTimeoutSeconds: UInt32, departureTimeoutSeconds: UInt32, maximumParticipants: UInt32,
    ) async throws {
        if fails { throw Failure() }
        created.append(room)
        self.maximumParticipants = maximumParticipants
        timeouts = (emptyTimeoutSeconds, departureTimeoutSeconds)
    }

    func removeParticipant(room: String, identity: String) async {
        removed.append(FocusParticipant(room: room, identity: identity))
    }

    func setRights(_ rights: ParticipantRights, of participant: FocusParticipant) async {
        self.rights[participant, default: []].append(rights)
    }

    func muteAll(of participant: FocusParticipant) async -> Int? {
        present[participant.room]?[participant.identity].map { _ in 1 }
    }

    func endRoom(named room: String) async -> Bool {
        ended.append(room)
        return true
    }

    func presence(inRoom room: String) async -> [String: ParticipantPresence] {
        present[room] ?? [:]
    }

    func enter(_ participant: FocusParticipant, session: String = "PA_1", isActive: Bool = true) {
        present[participant.room, default: [:]][participant.identity] = ParticipantPresence(
            wasActive: isActive, session: session, joinedAtMilliseconds: 0)
    }

    func exit(_ participant: FocusParticipant) {
        present[participant.room]?[participant.identity] = nil
    }
}

extension CallEnforcement {
    /// Orders to a focus of tests, by the default policy of the tests' homeserver.
    static func ofTests(
        _ focus: FakeFocus, _ issued: IssuedIdentities, _ facts: RoomFactsBook = RoomFactsBook(),
    ) -> CallEnforcement {
        CallEnforcement(
            policy: AccessPolicy(localServer: FakeHomeserver.local), focus: focus, issued: issued, facts: facts,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }
}
