// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Synchronization

/// Why joins and signal messages went no further, counted; shared by all sockets.
package final class SignalRefusals: Sendable {
    package enum Reason: Int, CaseIterable, Sendable {
        case malformed
        case unknownMessage
        case flood
        /// A join or resume with a token from before its participant was removed.
        case revokedToken
    }

    private let malformed = Atomic<UInt64>(0)
    private let unknownMessage = Atomic<UInt64>(0)
    private let flood = Atomic<UInt64>(0)
    private let revokedToken = Atomic<UInt64>(0)

    func count(_ reason: Reason) {
        switch reason {
        case .malformed: malformed.add(1, ordering: .relaxed)
        case .unknownMessage: unknownMessage.add(1, ordering: .relaxed)
        case .flood: flood.add(1, ordering: .relaxed)
        case .revokedToken: revokedToken.add(1, ordering: .relaxed)
        }
    }

    package subscript(reason: Reason) -> UInt64 {
        switch reason {
        case .malformed: malformed.load(ordering: .relaxed)
        case .unknownMessage: unknownMessage.load(ordering: .relaxed)
        case .flood: flood.load(ordering: .relaxed)
        case .revokedToken: revokedToken.load(ordering: .relaxed)
        }
    }
}
