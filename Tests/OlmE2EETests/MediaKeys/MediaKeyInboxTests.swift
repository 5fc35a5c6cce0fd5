// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import OlmE2EE

@Suite("Media keys of others: which of them counts, and for whom")
struct MediaKeyInboxTests {
    typealias Inbox = MediaKeyInbox<String>

    struct Installed: Equatable {
        var index: UInt8
        var byte: UInt8
        var identity: String
    }

    private func key(_ index: UInt8, _ byte: UInt8) throws -> NumberedMediaKey {
        NumberedMediaKey(index: index, key: try MediaKey(bytes: [UInt8](repeating: byte, count: 16)))
    }

    private func state(_ device: String) -> Inbox.Member {
        Inbox.Member(device: device, memberID: nil, identity: "plain \(device)")
    }

    private func sticky(_ device: String, _ memberID: String) -> Inbox.Member {
        Inbox.Member(device: device, memberID: memberID, identity: "hash of \(device) \(memberID)")
    }

    private func installed(_ actions: [Inbox.Action]) -> [Installed] {
        actions.compactMap { action in
            guard case .install(let key, let identity) = action else { return nil }
            return Installed(index: key.index, byte: key.key.copyOfMaterial()[0], identity: identity)
        }
    }

    private func forgotten(_ actions: [Inbox.Action]) -> [String] {
        actions.compactMap { action in
            guard case .forget(let identity) = action else { return nil }
            return identity
        }
    }

    @Test("a key of a member is used at once")
    func known() throws {
        var inbox = Inbox()
        #expect(inbox.update(members: [state("a")], at: 0).isEmpty)
        let actions = try inbox.receive(key(0, 1), from: "a", memberID: "whatever", receivedAt: 5)
        #expect(installed(actions) == [Installed(index: 0, byte: 1, identity: "plain a")])
    }

    @Test("K6: a key that comes before the membership waits a minute for it")
    func k6KeyBeforeMembership() throws {
        var inbox = Inbox()
        #expect(try inbox.receive(key(0, 1), from: "a", memberID: "a", receivedAt: 1_000).isEmpty)
        #expect(try inbox.receive(key(1, 2), from: "a", memberID: "a", receivedAt: 2_000).isEmpty)
        #expect(try inbox.receive(key(0, 3), from: "b", memberID: "b", receivedAt: 2_500).isEmpty)
        #expect(inbox.deadline == 61_000)
        #expect(inbox.update(members: [state("c")], at: 3_000).isEmpty)
        let actions = inbox.update(members: [state("a"), state("c")], at: 60_999)
        #expect(
            installed(actions) == [
                Installed(index: 0, byte: 1, identity: "plain a"), Installed(index: 1, byte: 2, identity: "plain a"),
            ])
        #expect(inbox.waitingCount == 1)
        // Too late for the third.
        #expect(installed(inbox.update(members: [state("b")], at: 62_500)).isEmpty)
        #expect(inbox.waitingCount == 0 && inbox.deadline == nil)
    }

    @Test("K7: of two keys with one index the one received later stays, in whichever order they are handled")
    func k7OutOfOrder() throws {
        var inbox = Inbox()
        _ = inbox.update(members: [state("a")], at: 0)
        #expect(installed(try inbox.receive(key(0, 1), from: "a", memberID: "a", receivedAt: 200)).count == 1)
        #expect(throws: Inbox.Refusal.outdated) {
            try inbox.receive(key(0, 2), from: "a", memberID: "a", receivedAt: 100)
        }
        #expect(installed(try inbox.receive(key(1, 3), from: "a", memberID: "a", receivedAt: 100)).map(\.byte) == [3])
        #expect(installed(try inbox.receive(key(0, 4), from: "a", memberID: "a", receivedAt: 300)).map(\.byte) == [4])

        // The same while they wait.
        #expect(try inbox.receive(key(0, 5), from: "b", memberID: "b", receivedAt: 500).isEmpty)
        #expect(throws: Inbox.Refusal.outdated) {
            try inbox.receive(key(0, 6), from: "b", memberID: "b", receivedAt: 400)
        }
        #expect(installed(inbox.update(members: [state("a"), state("b")], at: 600)).map(\.byte) == [5])
    }

    @Test("K10: a sticky member is found by its id and has its own name, a state member by its device")
    func k10Identities() throws {
        var inbox = Inbox()
        _ = inbox.update(members: [sticky("a", "one"), sticky("a", "two"), state("b")], at: 0)
        for (memberID, identity) in [("one", "hash of a one"), ("two", "hash of a two")] {
            let actions = try inbox.receive(key(0, 1), from: "a", memberID: memberID, receivedAt: 1)
            #expect(installed(actions).map(\.identity) == [identity])
        }
        #expect(
            installed(try inbox.receive(key(0, 1), from: "b", memberID: "x", receivedAt: 1)).map(\.identity)
                == ["plain b"])
        // A member id of somebody else's device opens nothing.
        #expect(try inbox.receive(key(0, 1), from: "b2", memberID: "one", receivedAt: 1).isEmpty)
        #expect(try inbox.receive(key(0, 1), from: "a", memberID: "three", receivedAt: 1).isEmpty)
        #expect(inbox.waitingCount == 2)
    }

    @Test("who left is forgotten, and keys that come later wait in vain")
    func left() throws {
        var inbox = Inbox()
        _ = inbox.update(members: [state("a"), state("b")], at: 0)
        _ = try inbox.receive(key(0, 1), from: "a", memberID: "a", receivedAt: 1)
        let actions = inbox.update(members: [state("b")], at: 2)
        #expect(forgotten(actions) == ["plain a"])
        #expect(try inbox.receive(key(1, 2), from: "a", memberID: "a", receivedAt: 3).isEmpty)
        inbox.expire(at: 60_003)
        #expect(inbox.waitingCount == 0)
        // Back again, with an index that it used before.
        _ = inbox.update(members: [state("a"), state("b")], at: 70_000)
        #expect(installed(try inbox.receive(key(0, 3), from: "a", memberID: "a", receivedAt: 70_001)).count == 1)
    }

    @Test("a member that changes its kind has another name")
    func otherKind() throws {
        var inbox = Inbox()
        _ = inbox.update(members: [state("a")], at: 0)
        #expect(forgotten(inbox.update(members: [sticky("a", "one")], at: 1)) == ["plain a"])
        #expect(
            installed(try inbox.receive(key(0, 1), from: "a", memberID: "one", receivedAt: 2)).map(\.identity)
                == ["hash of a one"])
    }

    @Test("keys that wait are bounded: a device's newest stay, and of all the newest")
    func bounds() throws {
        var inbox = Inbox()
        for index in UInt8.min ... .max {
            #expect(try inbox.receive(key(index, index), from: "a", memberID: "a", receivedAt: UInt64(index)).isEmpty)
        }
        #expect(inbox.waitingCount == Inbox.maximumWaitingOfDevice)
        for number in 0..<Inbox.maximumWaiting - Inbox.maximumWaitingOfDevice {
            #expect(try inbox.receive(key(0, 1), from: "\(number)", memberID: "", receivedAt: 300).isEmpty)
        }
        #expect(displaced(try inbox.receive(key(0, 1), from: "one more", memberID: "", receivedAt: 300)) == 1)
        #expect(inbox.waitingCount == Inbox.maximumWaiting)
        #expect(installed(inbox.update(members: [state("a")], at: 400)).map(\.index) == [253, 254, 255])
        #expect(try inbox.receive(key(0, 1), from: "another", memberID: "", receivedAt: 400).isEmpty)

        let crowd = (0...Inbox.maximumMembers).map { state("m\($0)") }
        _ = inbox.update(members: crowd, at: 500)
        #expect(inbox.refusedMembers == 1)
    }

    @Test("strangers, however many, are in the way of strangers only")
    func strangers() throws {
        var inbox = Inbox()
        for number in 0..<1_000 {
            let actions = try inbox.receive(
                key(0, 1), from: "s\(number)", memberID: "", receivedAt: 100, isStranger: true)
            #expect(displaced(actions) == (number < Inbox.maximumWaitingOfStrangers ? 0 : 1))
        }
        #expect(inbox.waitingCount == Inbox.maximumWaitingOfStrangers)
        for number in 0..<Inbox.maximumWaiting {
            _ = try inbox.receive(key(0, 2), from: "m\(number)", memberID: "", receivedAt: 50)
        }
        let members = (0..<Inbox.maximumWaiting).map { state("m\($0)") }
        #expect(installed(inbox.update(members: members, at: 200)).count == Inbox.maximumWaiting)
    }

    private func displaced(_ actions: [Inbox.Action]) -> Int {
        actions.count { if case .displaced = $0 { true } else { false } }
    }
}
