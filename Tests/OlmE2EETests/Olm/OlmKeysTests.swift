// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Testing

@testable import OlmE2EE

@Suite("Keys of an Olm device")
struct OlmKeysTests {
    private var server = KeyServer()
    private var bot: Party

    init() throws {
        bot = try Party("@bot:example.org", "BOT")
    }

    @Test("A4: one-time keys are refilled below half, the fallback key is replaced once it was used")
    mutating func upkeep() throws {
        let address = bot.device.address
        try bot.publish(to: &server)
        #expect(server.oneTimeKeyCount(of: address) == OlmDevice.oneTimeKeyTarget)
        #expect(server.unusedFallbackKeyTypes(of: address) == ["signed_curve25519"])
        #expect(try !bot.refill(at: &server))
        for _ in 0..<25 { _ = server.claim(address) }
        #expect(try !bot.refill(at: &server))
        _ = server.claim(address)
        #expect(try bot.refill(at: &server))
        #expect(server.oneTimeKeyCount(of: address) == OlmDevice.oneTimeKeyTarget)
        let fallback = server.fallbackKeys
        for _ in 0..<60 { _ = server.claim(address) }
        #expect(server.unusedFallbackKeyTypes(of: address).isEmpty)
        #expect(try bot.refill(at: &server))
        #expect(server.oneTimeKeyCount(of: address) == OlmDevice.oneTimeKeyTarget)
        #expect(server.unusedFallbackKeyTypes(of: address) == ["signed_curve25519"])
        #expect(server.fallbackKeys != fallback)
        // Who uses it up again and again makes us replace it once an hour.
        let second = server.fallbackKeys
        for _ in 0..<60 { _ = server.claim(address) }
        #expect(try bot.refill(at: &server))
        #expect(server.fallbackKeys == second)
        _ = try bot.device.tidy(in: bot.store, at: bot.now + 3_600_001)
        #expect(try bot.refill(at: &server))
        #expect(server.fallbackKeys != second)
    }

    @Test("a replaced fallback key is good for an hour more")
    mutating func oldFallbackKey() throws {
        var (alice, carol) = (try Party("@alice:example.org", "ALICE"), try Party("@carol:example.org", "CAROL"))
        for index in [0, 1] {
            var party = index == 0 ? alice : carol
            try party.publish(to: &server)
            if index == 0 { alice = party } else { carol = party }
        }
        try bot.publish(to: &server)
        for _ in 0..<OlmDevice.oneTimeKeyTarget { _ = server.claim(bot.device.address) }
        try alice.know([bot.device.address.user], from: server)
        try carol.know([bot.device.address.user], from: server)
        try bot.know([alice.device.address.user, carol.device.address.user], from: server)
        #expect(try alice.claim(bot.device.address, at: &server).isEmpty)
        #expect(try carol.claim(bot.device.address, at: &server).isEmpty)
        #expect(try bot.refill(at: &server))
        _ = try bot.device.tidy(in: bot.store, at: bot.now + 3_600_000)
        guard case .message = try bot.receive(alice.event("a.b", [:], to: bot.device.address)) else {
            Issue.record("the old fallback key was forgotten too early")
            return
        }
        _ = try bot.device.tidy(in: bot.store, at: bot.now + 3_600_001)
        #expect(
            try bot.receive(carol.event("a.b", [:], to: bot.device.address))
                == .refused(.undecryptable, from: carol.device.address.user))
    }

    @Test("an upload that failed is made again with the same keys")
    mutating func unpublished() throws {
        let first = try bot.device.keyUpload(
            oneTimeKeyCount: 0, unusedFallbackKeyTypes: [], in: bot.store, at: bot.now)
        let second = try bot.device.keyUpload(
            oneTimeKeyCount: 0, unusedFallbackKeyTypes: [], in: bot.store, at: bot.now)
        #expect(first != nil)
        #expect(first == second)
        // A homeserver that says nonsense does not make us generate without end.
        let third = try bot.device.keyUpload(
            oneTimeKeyCount: .min, unusedFallbackKeyTypes: [], in: bot.store, at: bot.now)
        #expect(third == first)
    }

    @Test("the homeserver's copy is compared with ours")
    mutating func comparison() throws {
        #expect(try bot.device.compare(server.query(), in: bot.store) == .missing)
        server.upload(["device_keys": .object(bot.device.signedDeviceKeys)], of: bot.device.address)
        #expect(try bot.device.compare(server.query(), in: bot.store) == .otherCrossSigning)
        let identity = try bot.device.makeCrossSigning(in: bot.store, at: bot.now)
        server.upload(
            OlmDevice.CrossSigning(keys: identity.keys, signatures: [:]), of: bot.device.address.user)
        #expect(try bot.device.compare(server.query(), in: bot.store) == .unsigned)
        server.upload(try bot.device.crossSigning(from: bot.store), of: bot.device.address.user)
        #expect(try bot.device.compare(server.query(), in: bot.store) == .complete)

        // A new device keeps the user's identity.
        let next = try OlmDevice(creating: bot.device.address, key: Party.key(), in: bot.store, at: bot.now)
        #expect(try next.compare(server.query(), in: bot.store) == .otherDeviceKeys)
        server.upload(["device_keys": .object(next.signedDeviceKeys)], of: bot.device.address)
        #expect(try next.compare(server.query(), in: bot.store) == .unsigned)
        server.upload(try next.crossSigning(from: bot.store), of: bot.device.address.user)
        #expect(try next.compare(server.query(), in: bot.store) == .complete)
        bot.device = next

        var other = try Party("@bot:example.org", "BOT")
        #expect(try other.device.compare(server.query(), in: other.store) == .otherDeviceKeys)
        try other.publish(to: &server)
        #expect(try bot.device.compare(server.query(), in: bot.store) == .otherDeviceKeys)
    }

    @Test("keys of others must be signed by them and stay what they were")
    mutating func foreignKeys() throws {
        var alice = try Party("@alice:example.org", "ALICE")
        try alice.publish(to: &server)
        let user = alice.device.address.user
        var forged = server
        forged.change(alice.device.address) { $0["algorithms"] = .array([]) }
        try bot.device.needDevices(of: [user], in: bot.store, at: bot.now)
        #expect(try bot.query(forged) == [.refused(.invalidDeviceKeys, from: user)])
        #expect(try bot.device.devices(of: user, in: bot.store).isEmpty)

        try bot.device.devicesChanged(of: [user], in: bot.store)
        #expect(try bot.query(server).isEmpty)
        #expect(try bot.device.devices(of: user, in: bot.store).map(\.isCrossSigned) == [true])

        var imposter = try Party("@alice:example.org", "ALICE")
        try imposter.publish(to: &server)
        try bot.device.devicesChanged(of: [user], in: bot.store)
        #expect(try bot.query(server) == [.refused(.deviceKeysChanged, from: user)])
        #expect(try bot.device.devices(of: user, in: bot.store).map(\.ed25519) == [alice.device.ed25519])

        server.forget(alice.device.address)
        try bot.device.devicesChanged(of: [user], in: bot.store)
        #expect(try bot.query(server).isEmpty)
        #expect(try bot.device.devices(of: user, in: bot.store).isEmpty)
    }

    @Test("of a user with very many devices only so many are looked at, valid or not")
    mutating func manyDevices() throws {
        var alice = try Party("@alice:example.org", "ZALICE")
        try alice.publish(to: &server)
        let user = alice.device.address.user
        try bot.know([user], from: server)
        #expect(try bot.device.devices(of: user, in: bot.store).count == 1)
        for number in 0..<OlmDevice.Limit.devicesOfUser {
            let device = try unwrapped(DeviceID("D\(number)"))
            server.upload(["device_keys": .object([:])], of: DeviceAddress(user: user, device: device))
        }
        try bot.device.devicesChanged(of: [user], in: bot.store)
        let refusals = try bot.query(server)
        #expect(refusals.count == OlmDevice.Limit.devicesOfUser + 1)
        #expect(refusals.first == .refused(.tooManyDevices, from: user))
        #expect(refusals.dropFirst().allSatisfy { $0 == .refused(.invalidDeviceKeys, from: user) })
    }

    @Test("a one-time key must be signed by its device")
    mutating func forgedOneTimeKey() throws {
        var alice = try Party("@alice:example.org", "ALICE")
        try alice.publish(to: &server)
        try bot.know([alice.device.address.user], from: server)
        let keys = try unwrapped(try bot.device.device(alice.device.address, in: bot.store))
        let address = alice.device.address
        let claimed = try unwrapped(server.claim(address)["one_time_keys"]?["@alice:example.org"]?["ALICE"]?.object)
        for broken: JSONObject in [
            claimed.mapValues { .object(($0.object ?? [:]).filter { $0.key != "signatures" }) },
            claimed.mapValues { .object(($0.object ?? [:]).merging(["more": .bool(true)]) { $1 }) },
            claimed.mapValues { _ in .string("unsigned") },
        ] {
            let answer: JSONValue = .object([
                "one_time_keys": .object(["@alice:example.org": .object(["ALICE": .object(broken)])])
            ])
            #expect(
                try bot.device.takeClaim(answer, for: [keys], in: bot.store, at: bot.now)
                    == [address: .invalidOneTimeKey])
        }
        #expect(
            try bot.device.takeClaim(.object([:]), for: [keys], in: bot.store, at: bot.now)
                == [address: .noOneTimeKey])
        #expect(try !bot.device.hasSession(with: keys, in: bot.store))
    }

    @Test("seeds are sealed: another key, or another byte, does not open them")
    func seal() throws {
        let key = try Party.key()
        let secret = SecretBytes(copying: [1, 2, 3])
        var sealed = try key.seal(secret)
        #expect(key.open(sealed)?.withBytes { Array($0) } == [1, 2, 3])
        #expect(try unwrapped(PickleKey([UInt8](repeating: 1, count: 32))).open(sealed) == nil)
        sealed[sealed.count - 1] ^= 1
        #expect(key.open(sealed) == nil)
        #expect(key.open([]) == nil)
        #expect(PickleKey([1]) == nil)
    }
}
