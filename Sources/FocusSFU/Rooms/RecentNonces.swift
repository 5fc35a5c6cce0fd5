// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FoundationEssentials

/// The nonces of messages that came by the server API lately: a repeated request is delivered once.
struct RecentNonces {
    static let maximumCount = 1_024

    private var known: Set<Data> = []
    private var order: [Data] = []
    /// Where in `order` the oldest is, once it is full.
    private var oldest = 0

    /// True for a nonce that is not among the latest ones.
    mutating func insert(_ nonce: Data) -> Bool {
        guard known.insert(nonce).inserted else { return false }
        guard order.count == Self.maximumCount else {
            order.append(nonce)
            return true
        }
        known.remove(order[oldest])
        order[oldest] = nonce
        oldest = (oldest + 1) % Self.maximumCount
        return true
    }
}
