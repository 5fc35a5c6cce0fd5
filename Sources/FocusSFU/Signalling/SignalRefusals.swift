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
        /// More messages, or more bytes of them, waited for the worker than may.
        case flood
        /// A join or resume with a token from before its participant was removed.
        case revokedToken
        /// A join whose parameters cannot be read or are longer than participants may be.
        case joinParameters
        /// One more publish-only connection than an identity may have.
        case tooManySessions
        /// A track announced with longer names or more layers, codecs or features than a client has.
        case trackTooLarge
        /// There are more tracks than a participant receives at once. Counted when it becomes so.
        case receptionFull
        /// A request that names more tracks than are looked at.
        case requestTooLong
    }

    private let counts = Reason.allCases.map { _ in Counter() }

    func count(_ reason: Reason) {
        counts[reason.rawValue].value.add(1, ordering: .relaxed)
    }

    package subscript(reason: Reason) -> UInt64 {
        counts[reason.rawValue].value.load(ordering: .relaxed)
    }

    private final class Counter: Sendable {
        let value = Atomic<UInt64>(0)
    }
}
