// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import MatrixBridge

/// A focus that writes down what it is told.
actor FakeFocus: FocusControlling {
    struct Failure: Error {}

    private(set) var created: [String] = []
    private(set) var removed: [FocusParticipant] = []
    private(set) var timeouts: (empty: UInt32, departure: UInt32)?
    var fails = false

    func fail() {
        fails = true
    }

    func createRoom(named room: String, emptyTimeoutSeconds: UInt32, departureTimeoutSeconds: UInt32) async throws {
        if fails { throw Failure() }
        created.append(room)
        timeouts = (emptyTimeoutSeconds, departureTimeoutSeconds)
    }

    func removeParticipant(room: String, identity: String) async {
        removed.append(FocusParticipant(room: room, identity: identity))
    }
}
