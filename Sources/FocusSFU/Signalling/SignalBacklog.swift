// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The signal messages of one client that its worker has not taken yet, by number and by weight: in memory a message
/// is a multiple of its bytes.
struct SignalBacklog {
    let maximumCount: Int
    /// A message alone may weigh more: the socket bounds it.
    let maximumBytes: Int
    private var count = 0
    private var byteCount = 0

    init(maximumCount: Int, maximumBytes: Int) {
        self.maximumCount = maximumCount
        self.maximumBytes = maximumBytes
    }

    /// Takes a message in; false when too much waits.
    mutating func add(_ bytes: Int) -> Bool {
        guard count < maximumCount, count == 0 || byteCount + bytes <= maximumBytes else { return false }
        count += 1
        byteCount += bytes
        return true
    }

    mutating func remove(_ bytes: Int) {
        count -= 1
        byteCount -= bytes
    }
}
