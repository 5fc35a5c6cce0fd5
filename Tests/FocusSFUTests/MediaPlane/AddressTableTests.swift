// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Address table")
struct AddressTableTests {
    /// Few hosts and ports, so that keys meet again and probes run into each other.
    private static func address(_ generator: inout SeededGenerator) -> NetworkAddress {
        let port = UInt16.random(in: 1...400, using: &generator)
        return Bool.random(using: &generator)
            ? NetworkAddress(ipv4: UInt32.random(in: 0..<4, using: &generator), port: port)
            : NetworkAddress(high: UInt64.random(in: 0..<3, using: &generator), low: 1, port: port)
    }

    @Test("it behaves like a dictionary", arguments: [UInt64(1), 2, 3, 4, 5, 6])
    func property(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var table = AddressTable<Int>(seed: generator.next())
        var model: [NetworkAddress: Int] = [:]
        for step in 0..<20_000 {
            let address = Self.address(&generator)
            // Grows first and shrinks later, so that both directions are long.
            if Int.random(in: 0..<10, using: &generator) < (step < 10_000 ? 6 : 3) {
                table.insert(step, at: address)
                model[address] = step
            } else {
                table.remove(address)
                model[address] = nil
            }
            try #require(table.count == model.count, "seed \(seed)")
            let asked = Self.address(&generator)
            try #require(table[asked] == model[asked], "seed \(seed)")
            if step % 2_500 == 0 {
                for (address, value) in model { try #require(table[address] == value, "seed \(seed)") }
            }
        }
    }

    @Test("values that are objects are let go on removal, overwriting and at the end")
    func lifetime() {
        final class Value {}
        weak var removed: Value?
        weak var overwritten: Value?
        weak var kept: Value?
        do {
            var table = AddressTable<Value>(seed: 3)
            let addresses = (1...3).map { NetworkAddress(ipv4: 1, port: UInt16($0)) }
            let values = (0..<3).map { _ in Value() }
            (removed, overwritten, kept) = (values[0], values[1], values[2])
            for (address, value) in zip(addresses, values) { table.insert(value, at: address) }
            table.remove(addresses[0])
            table.insert(Value(), at: addresses[1])
        }
        #expect(removed == nil)
        #expect(overwritten == nil)
        #expect(kept == nil)
    }
}
