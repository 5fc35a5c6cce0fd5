// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import TURNCreds

@Suite("The secrets of a realm")
struct SecretRingTests {
    private static let lifetime: Int64 = 3_600
    private static let overlap: Int64 = 300

    private func secret(_ text: String) throws -> TURNSecret { try #require(TURNSecret(text)) }

    /// A ring that uses `north` since second 0.
    private func ring() throws -> SecretRing {
        var ring = SecretRing(overlapSeconds: Self.overlap)
        try ring.begin(secret("north"), lifetime: Self.lifetime, now: 0)
        ring.confirmAdded(try secret("north").fingerprint, now: 0)
        return ring
    }

    @Test("the first secret is used once it is in the store, not before")
    func first() throws {
        var ring = SecretRing(overlapSeconds: 0)
        #expect(ring.isDue(every: nil, now: 0))
        try ring.begin(secret("north"), lifetime: 60, now: 5)
        #expect(ring.current == nil)
        let adding = try #require(ring.adding)
        #expect(ring.steps(now: 5) == [.add(adding)])
        ring.confirmAdded(try secret("north").fingerprint, now: 6)
        #expect(ring.current?.secret.exposed == "north")
        #expect(ring.steps(now: 6).isEmpty)
    }

    @Test("the one before is valid until the longest credential and the overlap are over")
    func rotation() throws {
        var ring = try ring()
        try ring.begin(secret("south"), lifetime: Self.lifetime, now: 100)
        #expect(ring.current?.secret.exposed == "north")
        ring.confirmAdded(try secret("south").fingerprint, now: 110)
        let end = 110 + Self.lifetime + Self.overlap
        #expect(ring.current?.secret.exposed == "south")
        #expect(ring.valid(at: end - 1).map(\.secret.exposed) == ["north", "south"])
        #expect(ring.steps(now: end - 1).isEmpty)
        guard case .remove(let old) = ring.steps(now: end).first else {
            Issue.record("nothing is removed at its time")
            return
        }
        #expect(old.secret.exposed == "north")
        ring.confirmRemoved(old.id)
        #expect(ring.secrets.map(\.secret.exposed) == ["south"])
    }

    @Test("a longer lifetime of former times counts, a shorter one of today does not")
    func longestLifetime() throws {
        var ring = try ring()
        ring.use(lifetime: 86_400)
        ring.use(lifetime: 10)
        try ring.begin(secret("south"), lifetime: 10, now: 100)
        ring.confirmAdded(try secret("south").fingerprint, now: 100)
        #expect(ring.secrets.first?.retiringUntil == 100 + 86_400 + Self.overlap)
    }

    @Test("revoking takes out the one before, and those before it, once everybody uses the new one")
    func revocation() throws {
        var ring = try ring()
        for (index, name) in ["south", "east"].enumerated() {
            try ring.begin(secret(name), lifetime: 60, now: 10, revokes: index == 1)
            ring.confirmAdded(try secret(name).fingerprint, now: 10)
        }
        let end = 10 + SecretRing.revocationSeconds
        #expect(ring.steps(now: end - 1).isEmpty)
        #expect(ring.steps(now: end).count == 2)
        #expect(ring.valid(at: end).map(\.secret.exposed) == ["east"])
    }

    @Test("one rotation at a time")
    func underWay() throws {
        var ring = try ring()
        try ring.begin(secret("south"), lifetime: 60, now: 1)
        let id = try secret("south").fingerprint
        #expect(throws: RotationRefusal.underWay(id: id)) { try ring.begin(secret("east"), lifetime: 60, now: 2) }
        #expect(!ring.isDue(every: 1, now: 1_000))
    }

    @Test("no more than eight secrets at once")
    func limit() throws {
        var ring = try ring()
        for number in 1..<SecretRing.limit {
            try ring.begin(secret("secret \(number)"), lifetime: 60, now: Int64(number))
            ring.confirmAdded(try secret("secret \(number)").fingerprint, now: Int64(number))
        }
        #expect(throws: RotationRefusal.tooManyRetiring(until: 2 + 60 + Self.overlap)) {
            try ring.begin(secret("one more"), lifetime: 60, now: 50)
        }
        #expect(ring.secrets.count == SecretRing.limit)
    }

    @Test("an addition given up is taken out of the store, and the current one stays")
    func abandoned() throws {
        var ring = try ring()
        try ring.begin(secret("south"), lifetime: 60, now: 10)
        ring.abandonAdding(now: 11)
        guard case .remove(let given) = ring.steps(now: 11).first else {
            Issue.record("the secret stays in the store")
            return
        }
        #expect(given.secret.exposed == "south")
        #expect(ring.current?.secret.exposed == "north")
    }

    @Test("nothing is removed while nothing is current")
    func nothingCurrent() throws {
        var ring = SecretRing(overlapSeconds: 0)
        try ring.begin(secret("north"), lifetime: 60, now: 0)
        ring.abandonAdding(now: 0)
        #expect(ring.steps(now: 100).isEmpty)
    }

    @Test("a schedule is kept, and a clock that went back asks for nothing")
    func schedule() throws {
        let ring = try ring()
        #expect(!ring.isDue(every: 100, now: 99))
        #expect(ring.isDue(every: 100, now: 100))
        #expect(!ring.isDue(every: 100, now: -5_000))
        #expect(!ring.isDue(every: nil, now: .max))
    }

    @Test("dying before or after any write leaves a valid secret, and asking again completes the rotation")
    func deaths() throws {
        // A death strikes after that many writes, to the store or to the state.
        for death in 0..<12 {
            var world = RotationWorld(ring: try ring(), store: ["north"], writesLeft: death)
            world.rotate(to: try secret("south"), now: 100)
            #expect(world.usesWhatStoreHolds, "died after \(death) writes")
            world.writesLeft = .max
            world.rotate(to: try secret("south"), now: 200)
            world.work(now: 200 + Self.lifetime + Self.overlap)
            #expect(world.usesWhatStoreHolds)
            #expect(world.store == ["south"], "died after \(death) writes")
            #expect(world.ring.secrets.map(\.secret.exposed) == ["south"])
        }
    }
}

/// A shell that dies after a number of writes: what it wrote stays, what it would have written does not.
private struct RotationWorld {
    var ring: SecretRing
    var store: Set<String>
    var writesLeft: Int

    var usesWhatStoreHolds: Bool {
        ring.current.map { store.contains($0.secret.exposed) } ?? false
            && ring.valid(at: 0).allSatisfy { store.contains($0.secret.exposed) }
    }

    private mutating func write(_ change: (inout Self) -> Void) -> Bool {
        guard writesLeft > 0 else { return false }
        if writesLeft < .max { writesLeft -= 1 }
        change(&self)
        return true
    }

    mutating func rotate(to secret: TURNSecret, now: Int64) {
        if ring.secrets.allSatisfy({ $0.secret.exposed != secret.exposed }) {
            var begun = ring
            try? begun.begin(secret, lifetime: 60, now: now)
            guard write({ $0.ring = begun }) else { return }
        }
        work(now: now)
    }

    mutating func work(now: Int64) {
        while let step = ring.steps(now: now).first {
            var after = ring
            switch step {
            case .add(let kept):
                guard write({ $0.store.insert(kept.secret.exposed) }) else { return }
                after.confirmAdded(kept.id, now: now)
            case .remove(let kept):
                guard write({ $0.store.remove(kept.secret.exposed) }) else { return }
                after.confirmRemoved(kept.id)
            }
            guard write({ $0.ring = after }) else { return }
        }
    }
}
