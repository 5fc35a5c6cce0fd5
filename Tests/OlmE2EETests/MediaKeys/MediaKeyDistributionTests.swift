// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import OlmE2EE

@Suite("Our media key: who gets it and when it changes")
struct MediaKeyDistributionTests {
    typealias Distribution = MediaKeyDistribution<String>
    typealias Action = Distribution.Action

    /// What an action says, without the key's bytes.
    enum Step: Equatable {
        case send(UInt8, Set<String>)
        case use(UInt8)
    }

    private static let start: UInt64 = 1_000_000

    private static func joined() -> Distribution {
        let keys = CountingKeys()
        return Distribution(own: "bot", at: start, makeKey: { keys.next() })
    }

    private func steps(_ actions: [Action]) -> [Step] {
        actions.map { action in
            switch action {
            case .send(let key, let devices): .send(key.index, devices)
            case .use(let key): .use(key.index)
            }
        }
    }

    /// Answers each delivery at once, as successful; returns the steps in their order.
    private func deliver(_ actions: [Action], in machine: inout Distribution, at now: UInt64) -> [Step] {
        var result = steps(actions)
        for case .send(let key, let devices) in actions {
            result += deliver(
                machine.report(index: key.index, missed: [], of: devices, at: now), in: &machine, at: now)
        }
        return result
    }

    private func update(_ machine: inout Distribution, _ members: [String: Int64], at offset: UInt64) -> [Step] {
        let now = Self.start + offset
        return deliver(machine.update(members: members, at: now), in: &machine, at: now)
    }

    private func advance(_ machine: inout Distribution, to offset: UInt64) -> [Step] {
        let now = Self.start + offset
        return deliver(machine.advance(to: now), in: &machine, at: now)
    }

    @Test("K1: alone, the key is there at once and goes nowhere")
    func k1Alone() {
        var machine = Self.joined()
        #expect(machine.current.index == 0)
        #expect(update(&machine, [:], at: 0).isEmpty)
        #expect(update(&machine, ["bot": 5], at: 1).isEmpty)
        #expect(advance(&machine, to: 60_000).isEmpty)
    }

    @Test("those who are there when we join get the first key, which is used already")
    func first() {
        var machine = Self.joined()
        #expect(update(&machine, ["a": 1, "b": 2, "bot": 3], at: 0) == [.send(0, ["a", "b"])])
        #expect(update(&machine, ["a": 1, "b": 2, "bot": 3], at: 10).isEmpty)
        #expect(machine.current.index == 0)
    }

    @Test("K2: who joins within the grace gets the same key, and nobody else gets anything")
    func k2JoinWithinGrace() {
        var machine = Self.joined()
        #expect(update(&machine, ["a": 1], at: 0) == [.send(0, ["a"])])
        #expect(update(&machine, ["a": 1, "b": 2], at: 9_999) == [.send(0, ["b"])])
        #expect(advance(&machine, to: 30_000).isEmpty)
        #expect(machine.current.index == 0)
    }

    @Test("K3: who joins after the grace makes a new key for all, which is used after the delay")
    func k3JoinAfterGrace() {
        var machine = Self.joined()
        #expect(update(&machine, ["a": 1], at: 0) == [.send(0, ["a"])])
        #expect(update(&machine, ["a": 1, "b": 2], at: 10_000) == [.send(1, ["a", "b"])])
        #expect(machine.current.index == 0)
        #expect(machine.deadline == Self.start + 11_000)
        #expect(advance(&machine, to: 10_999).isEmpty)
        #expect(advance(&machine, to: 11_000) == [.use(1)])
        #expect(machine.current.index == 1)
        // The next one comes within the grace of the new key.
        #expect(update(&machine, ["a": 1, "b": 2, "c": 3], at: 12_000) == [.send(1, ["c"])])
    }

    @Test("K4: a leave makes a new key for the rest; several during the delay make one more")
    func k4Leaves() {
        var machine = Self.joined()
        _ = update(&machine, ["a": 1, "b": 1, "c": 1, "d": 1], at: 0)
        #expect(update(&machine, ["a": 1, "b": 1, "c": 1], at: 100) == [.send(1, ["a", "b", "c"])])
        #expect(update(&machine, ["a": 1, "b": 1], at: 300).isEmpty)
        #expect(update(&machine, ["a": 1], at: 600).isEmpty)
        #expect(machine.current.index == 0)
        #expect(advance(&machine, to: 1_100) == [.use(1), .send(2, ["a"])])
        #expect(advance(&machine, to: 2_099).isEmpty)
        #expect(advance(&machine, to: 2_100) == [.use(2)])
        #expect(advance(&machine, to: 100_000).isEmpty)
    }

    @Test("who joins while a new key waits for its use gets that one, and makes no other")
    func joinDuringDelay() {
        var machine = Self.joined()
        _ = update(&machine, ["a": 1, "b": 1], at: 0)
        #expect(update(&machine, ["a": 1], at: 20_000) == [.send(1, ["a"])])
        #expect(update(&machine, ["a": 1, "c": 1], at: 20_500) == [.send(1, ["c"])])
        #expect(advance(&machine, to: 21_000) == [.use(1)])
        #expect(advance(&machine, to: 60_000).isEmpty)
    }

    @Test("the last one leaves: another key, used at once, because nobody has to get it first")
    func lastLeaves() {
        var machine = Self.joined()
        _ = update(&machine, ["a": 1], at: 0)
        #expect(update(&machine, [:], at: 5_000) == [.use(1)])
    }

    @Test("K5: the same member with another time of joining gets the key again")
    func k5OtherCreation() {
        var machine = Self.joined()
        _ = update(&machine, ["a": 1, "b": 1], at: 0)
        #expect(update(&machine, ["a": 2, "b": 1], at: 3_000) == [.send(0, ["a"])])
        #expect(update(&machine, ["a": 2, "b": 1], at: 4_000).isEmpty)
        // As with everybody who joins: a new key when this one is old.
        #expect(update(&machine, ["a": 2, "b": 9], at: 15_000) == [.send(1, ["a", "b"])])
    }

    @Test("K9: our own device is never among the recipients")
    func k9OwnDevice() {
        var machine = Self.joined()
        #expect(update(&machine, ["bot": 1, "a": 1], at: 0) == [.send(0, ["a"])])
        #expect(update(&machine, ["bot": 2, "a": 1], at: 20_000).isEmpty)
        #expect(update(&machine, ["bot": 2, "a": 1, "b": 1], at: 20_001) == [.send(1, ["a", "b"])])
        #expect(update(&machine, ["a": 1, "b": 1], at: 30_000) == [.use(1)])
    }

    @Test("K11: after 256 keys the index is 0 again, and a receiver takes the new key")
    func k11IndexWraps() throws {
        var machine = Self.joined()
        var inbox = MediaKeyInbox<String>()
        _ = inbox.update(members: [.init(device: "bot", memberID: nil, identity: "bot")], at: 0)
        var ring = MediaKeyRing()
        var indices: [UInt8] = []
        var now = Self.start
        func take(_ actions: [Action]) throws {
            for case .send(let key, _) in actions {
                indices.append(key.index)
                for case .install(let key, _) in try inbox.receive(key, from: "bot", memberID: "", receivedAt: now) {
                    try ring.insert(key.key, at: key.index)
                }
            }
        }
        try take(machine.update(members: ["a": 0], at: now))
        let first = machine.current.key.copyOfMaterial()
        for round in 1...256 {
            now += 20_000
            try take(machine.update(members: ["a": Int64(round)], at: now))
            _ = machine.report(index: indices.last ?? 0, missed: [], of: ["a"], at: now)
            now += 1_000
            try take(machine.advance(to: now))
        }
        #expect(indices == (0...255).map { UInt8($0) } + [0])
        #expect(machine.current.index == 0)
        #expect(machine.current.key.copyOfMaterial() != first)
        var sealer = try FrameSealer(key: machine.current.key, keyIndex: 0, ssrc: 1, counter: 0)
        let sealed = try sealer.seal([0x78, 1, 2], codec: .opus, timestamp: 1)
        #expect(try ring.open(sealed, codec: .opus) == [0x78, 1, 2])
    }

    @Test("who was not reached is tried again, each time later, as long as it is there")
    func retries() {
        var machine = Self.joined()
        var now = Self.start
        var actions = machine.update(members: ["a": 1, "b": 1], at: now)
        var waits: [UInt64] = []
        for _ in 0..<9 {
            for case .send(let key, let devices) in actions {
                #expect(machine.report(index: key.index, missed: ["a"], of: devices, at: now).isEmpty)
            }
            waits.append(machine.deadline - now)
            #expect(machine.advance(to: machine.deadline - 1).isEmpty)
            now = machine.deadline
            actions = machine.advance(to: now)
            #expect(steps(actions) == [.send(0, ["a"])])
        }
        #expect(waits == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
        // Gone: with a new key for the rest nobody asks for it any more.
        #expect(steps(machine.update(members: ["b": 1], at: now)) == [.send(1, ["b"])])
        #expect(machine.report(index: 0, missed: ["a"], of: ["a"], at: now).isEmpty)
    }

    @Test("the delay begins when all were reached, and a slow delivery puts it off so long and no longer")
    func slowDelivery() {
        var machine = Self.joined()
        _ = update(&machine, ["a": 1, "b": 1, "c": 1], at: 0)
        let now = Self.start + 20_000
        #expect(steps(machine.update(members: ["a": 1, "b": 1], at: now)) == [.send(1, ["a", "b"])])
        #expect(machine.deadline == now + 6_000)
        #expect(machine.report(index: 1, missed: [], of: ["a"], at: now + 500).isEmpty)
        #expect(machine.deadline == now + 6_000)
        #expect(machine.report(index: 1, missed: [], of: ["b"], at: now + 2_000).isEmpty)
        #expect(machine.deadline == now + 3_000)
        #expect(steps(machine.advance(to: now + 3_000)) == [.use(1)])

        #expect(steps(machine.update(members: ["a": 1], at: now + 10_000)) == [.send(2, ["a"])])
        #expect(machine.advance(to: now + 15_999).isEmpty)
        #expect(steps(machine.advance(to: now + 16_000)) == [.use(2)])
    }

    @Test("no key serves longer than its life")
    func lifetime() {
        var machine = Self.joined()
        #expect(update(&machine, ["a": 1], at: 0) == [.send(0, ["a"])])
        #expect(machine.deadline == Self.start + 3_600_000)
        #expect(advance(&machine, to: 3_600_000) == [.send(1, ["a"])])
        #expect(advance(&machine, to: 3_601_000) == [.use(1)])
        #expect(machine.deadline == Self.start + 7_200_000)
    }

    @Test("who leaves when a key's life is over gets none any more, and the others one")
    func leavesAtEndOfLife() {
        var machine = Self.joined()
        #expect(update(&machine, ["a": 1, "b": 1], at: 0) == [.send(0, ["a", "b"])])
        #expect(update(&machine, ["a": 1], at: 3_600_000) == [.send(1, ["a"])])
        #expect(advance(&machine, to: 3_601_000) == [.use(1)])
        #expect(advance(&machine, to: 3_700_000).isEmpty)
    }

    @Test("the number of devices is bounded, and room is made by those who leave")
    func bounds() {
        var machine = Self.joined()
        var members: [String: Int64] = [:]
        for number in 0..<Distribution.maximumDevices { members["\(number)"] = 1 }
        #expect(update(&machine, members, at: 0) == [.send(0, Set(members.keys))])
        members["late"] = 1
        #expect(update(&machine, members, at: 1).isEmpty)
        #expect(machine.refusedDevices == 1)
        members["0"] = nil
        #expect(update(&machine, members, at: 2) == [.send(1, Set(members.keys))])
    }

    @Test("each key has other bytes")
    func freshKeys() throws {
        var system = SystemRandomNumberGenerator()
        let keys = (0..<64).map { _ in MediaKey(using: &system).copyOfMaterial() }
        #expect(Set(keys).count == 64)
        #expect(keys.allSatisfy { $0.count == 16 })
    }
}

/// Keys that are all different, and the same in each run.
private final class CountingKeys: @unchecked Sendable {
    // Unchecked: one test uses it, on one task.
    private var generator = CountingGenerator()

    func next() -> MediaKey {
        MediaKey(using: &generator)
    }
}

/// No randomness at all: the bits of a counter, stirred.
struct CountingGenerator: RandomNumberGenerator {
    private var count: UInt64 = 0

    mutating func next() -> UInt64 {
        count &+= 0x9E37_79B9_7F4A_7C15
        return (count ^ count >> 29) &* 0xBF58_476D_1CE4_E5B9 >> 17
    }
}
