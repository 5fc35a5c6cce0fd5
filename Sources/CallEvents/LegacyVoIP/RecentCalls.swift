// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Calls that are over, for as long as an invite may still arrive late; bounded, the oldest go first.
struct RecentCalls: Sendable {
    static let maximumCount = 256

    private var keys: Set<LegacyCallKey> = []
    private var order: [LegacyCallKey] = []

    func contains(_ key: LegacyCallKey) -> Bool { keys.contains(key) }

    mutating func insert(_ key: LegacyCallKey) {
        guard keys.insert(key).inserted else { return }
        order.append(key)
        if order.count > Self.maximumCount { keys.remove(order.removeFirst()) }
    }
}
