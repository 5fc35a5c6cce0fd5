// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

/// Everything that runs a whole focus: one at a time, because SCTP's timers belong to the process.
@Suite("Calls on loopback", .serialized)
struct CallTests {}

/// Sequence numbers in arrival order without gap or repetition.
func isContiguous(_ sequences: [UInt16]) -> Bool {
    zip(sequences, sequences.dropFirst()).allSatisfy { $1 == $0 &+ 1 }
}
