// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How far a receiver's reports about one stream have come (RFC 3550 §6.4.1): each counts from the last.
struct ReportProgress {
    private var highestSequence: UInt32?

    /// Packets since the last report; none for the first, of which the beginning is not known, and for one that falls
    /// behind.
    ///
    /// - Parameter sequence: the report's extended highest sequence number.
    mutating func advance(to sequence: UInt32) -> UInt32 {
        defer { highestSequence = sequence }
        guard let highestSequence else { return 0 }
        let packets = sequence &- highestSequence
        return packets < 1 << 31 ? packets : 0
    }
}
