// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// From a peer's transport address to what belongs to it: one look-up a received datagram.
///
/// Open addressing with linear probing and backward-shift deletion; the hash is seeded, so that addresses chosen by an
/// attacker do not collide at will.
struct AddressTable<Value>: ~Copyable {
    private struct Slot {
        var address = NetworkAddress(high: 0, low: 0, port: 0)
        var value: Value?
    }

    private var slots: UnsafeMutablePointer<Slot>
    private var mask: Int
    private(set) var count = 0
    private let seed: UInt64

    init(seed: UInt64) {
        self.seed = seed | 1
        mask = 63
        slots = .allocate(capacity: 64)
        slots.initialize(repeating: Slot(), count: 64)
    }

    deinit {
        slots.deinitialize(count: mask + 1)
        slots.deallocate()
    }

    @inline(__always)
    private func home(_ address: NetworkAddress) -> Int {
        var hash = (address.low ^ (UInt64(address.port) << 48)) &* (seed | 1)
        hash = (hash ^ (hash >> 32) ^ address.high) &* 0x9E37_79B9_7F4A_7C15 ^ seed
        return Int(truncatingIfNeeded: hash >> 20) & mask
    }

    @inline(__always)
    private func find(_ address: NetworkAddress) -> Int {
        var index = home(address)
        while slots[index].value != nil, slots[index].address != address { index = (index + 1) & mask }
        return index
    }

    subscript(address: NetworkAddress) -> Value? {
        @inline(__always) get { slots[find(address)].value }
    }

    mutating func insert(_ value: Value, at address: NetworkAddress) {
        if (count + 1) * 2 > mask { grow() }
        let index = find(address)
        if slots[index].value == nil { count += 1 }
        slots[index].address = address
        slots[index].value = value
    }

    mutating func remove(_ address: NetworkAddress) {
        var hole = find(address)
        guard slots[hole].value != nil else { return }
        slots[hole].value = nil
        count -= 1
        var index = (hole + 1) & mask
        while slots[index].value != nil {
            let distance = (index - home(slots[index].address)) & mask
            if distance >= (index - hole) & mask {
                slots[hole] = slots[index]
                slots[index].value = nil
                hole = index
            }
            index = (index + 1) & mask
        }
    }

    private mutating func grow() {
        let old = slots
        let oldCount = mask + 1
        mask = oldCount * 2 - 1
        slots = .allocate(capacity: oldCount * 2)
        slots.initialize(repeating: Slot(), count: oldCount * 2)
        for index in 0..<oldCount where old[index].value != nil {
            slots[find(old[index].address)] = old[index]
        }
        old.deinitialize(count: oldCount)
        old.deallocate()
    }
}
