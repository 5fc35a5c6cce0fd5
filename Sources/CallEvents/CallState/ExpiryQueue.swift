// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Entries by expiry: a binary heap, O(log n) per insertion and removal of the first.
///
/// Replaced entries are not searched for; the owner recognises them as stale when they reach the front, and rebuilds
/// the queue when stale ones are the majority.
struct ExpiryQueue: Sendable {
    struct Element: Sendable {
        let expiresAt: UnixMilliseconds
        let id: RosterEntry.ID
    }

    private var heap: [Element] = []

    var count: Int { heap.count }
    var first: Element? { heap.first }

    mutating func insert(_ element: Element) {
        heap.append(element)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].expiresAt < heap[parent].expiresAt else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeFirst() {
        guard let last = heap.popLast(), !heap.isEmpty else { return }
        heap[0] = last
        var parent = 0
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if heap[child].expiresAt < heap[smallest].expiresAt { smallest = child }
            }
            guard smallest != parent else { return }
            heap.swapAt(parent, smallest)
            parent = smallest
        }
    }
}
