// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Logging
import NIOConcurrencyHelpers
import OlmE2EE
import Testing

@testable import MatrixBridge

@Suite("Media keys between legs and clients")
struct MediaKeyExchangeTests {
    static let room = "!room:hs"
    let time = SteppedClock()
    let post = DevicePost()

    func address(_ name: String) throws -> DeviceAddress {
        DeviceAddress(
            user: try #require(UserID("@\(name):hs")), device: try #require(DeviceID("\(name.uppercased())1")))
    }

    /// A leg of ours: its keys, and the frames it sends back.
    struct Leg {
        let exchange: MediaKeyExchange
        let frames = SealedEchoFrames()

        init(_ own: DeviceAddress, post: DevicePost, clock: ServiceClock) throws {
            exchange = MediaKeyExchange(
                room: try #require(RoomID(room)), own: own, messaging: post.pen(of: own), frames: frames, clock: clock,
                logger: Logger(label: "test"), isJoined: { $0.serverName.rawValue == "hs" })
        }

        func echo(_ frame: [UInt8], at timestamp: UInt32 = 960) -> [UInt8]? {
            frames.open(frame, from: 7).flatMap { frames.seal($0, as: 9, at: timestamp) }
        }
    }

    func leg(_ name: String) async throws -> Leg {
        let leg = try Leg(address(name), post: post, clock: time.clock)
        await post.open(try address(name)) { await leg.exchange.receive($0) }
        return leg
    }

    /// A client that is not ours: a key of its own, and the keys that it was sent.
    final class Client: Sendable {
        let key: NumberedMediaKey
        private let rings = NIOLockedValueBox<[DeviceAddress: MediaKeyRing]>([:])

        init(keyByte: UInt8) throws {
            key = NumberedMediaKey(
                index: 0, key: try OlmE2EE.MediaKey(bytes: [UInt8](repeating: keyByte, count: 16)))
        }

        func receive(_ message: ToDeviceMessage) {
            let decoded = CallKeyContent.decode(type: message.type, content: .object(message.content))
            guard case .success(let content) = decoded,
                let key = try? OlmE2EE.MediaKey(bytes: content.key.bytes)
            else { return }
            rings.withLockedValue {
                try? $0[message.sender, default: MediaKeyRing()].insert(key, at: content.key.index)
            }
        }

        func open(_ frame: [UInt8]?, of sender: DeviceAddress) -> [UInt8]? {
            guard let frame else { return nil }
            return rings.withLockedValue { try? $0[sender]?.open(frame, codec: .opus) }
        }

        func seal(_ plain: [UInt8]) throws -> [UInt8] {
            var sealer = try FrameSealer(key: key.key, keyIndex: key.index, ssrc: 7, counter: 0)
            return try sealer.seal(plain, codec: .opus, timestamp: 960)
        }
    }

    func client(_ name: String, keyByte: UInt8) async throws -> Client {
        let client = try Client(keyByte: keyByte)
        await post.open(try address(name)) { client.receive($0) }
        return client
    }

    private func content(
        of client: Client, _ name: String, memberID: String? = nil, room: String = room,
    ) throws -> JSONObject {
        let own = try address(name)
        return CallKeyContent.deployedContent(
            roomID: try #require(RoomID(room)), memberID: memberID ?? "\(own.user):\(own.device)", device: own.device,
            key: try CallEvents.MediaKey(index: client.key.index, bytes: client.key.key.withBytes { Array($0) }),
            sentAt: 1)
    }

    func message(of client: Client, _ name: String) throws -> ToDeviceMessage {
        ToDeviceMessage(
            sender: try address(name), type: CallKeyContent.deployedEventType, content: try content(of: client, name))
    }

    /// The members as a roster makes them of state events.
    func members(_ names: [String], createdAt: [String: Int64] = [:]) throws -> [RosterMember] {
        var roster = CallRoster()
        for name in names {
            let own = try address(name)
            try apply(
                """
                {"type":"org.matrix.msc3401.call.member","room_id":"\(Self.room)","event_id":"$\(name)",
                 "sender":"\(own.user)","origin_server_ts":1790000000000,"state_key":"_\(own.user)_\(own.device)_m.call",
                 "content":{"application":"m.call","call_id":"","scope":"m.room","device_id":"\(own.device)",
                 "created_ts":\(createdAt[name] ?? 1_790_000_000_000),"expires":14400000,
                 "focus_active":{"type":"livekit","focus_selection":"multi_sfu"},"foci_preferred":[]}}
                """, to: &roster)
        }
        return roster.calls.flatMap(\.members)
    }

    private func stickyMember(_ text: String) throws -> RosterMember {
        var roster = CallRoster()
        try apply(text, to: &roster)
        return try #require(roster.calls.first?.members.first)
    }

    func apply(_ text: String, to roster: inout CallRoster) throws {
        let event = try RoomEvent.decode(JSONValue.parse(Array(text.utf8))).get()
        let changes = roster.apply(CallEvent.decode(event), of: event, at: 1_790_000_000_000)
        #expect(!changes.contains { if case .refused = $0 { true } else { false } }, "\(changes)")
    }

    /// Runs the legs' loops while `body` works.
    private func running(_ legs: Leg..., body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for leg in legs { group.addTask { await leg.exchange.run() } }
            await time.asleep(legs.count)
            try await body()
            group.cancelAll()
        }
    }

    @Test("two legs and a client give each other keys, and an echo of an echo comes back readable")
    func twoLegs() async throws {
        let (first, second) = (try await leg("first"), try await leg("second"))
        let client = try await client("client", keyByte: 1)
        let (firstAddress, secondAddress) = (try address("first"), try address("second"))
        try await running(first, second) {
            // K1: alone, nothing is sent.
            await first.exchange.update(members: try members(["first"]))
            await time.advance(milliseconds: 1_000, loops: 2)
            #expect(await post.letters.isEmpty)

            let all = try members(["first", "second", "client"])
            await first.exchange.update(members: all)
            await second.exchange.update(members: all)
            await post.handled(4)
            let letters = await post.letters
            #expect(letters.count == 4 && letters.allSatisfy { $0.from != $0.to })

            let spoken: [UInt8] = [0x78, 1, 2, 3]
            let frame = try client.seal(spoken)
            #expect(first.echo(frame) == nil)
            await first.exchange.receive(try message(of: client, "client"))
            let echo = first.echo(frame)
            #expect(client.open(echo, of: firstAddress) == spoken)
            let echoOfEcho = second.echo(try #require(echo))
            #expect(client.open(echoOfEcho, of: secondAddress) == spoken)
            #expect(client.open(echoOfEcho, of: firstAddress) == nil)
            #expect(first.frames.refusals.all == ["unknownSender": 1])

            // Nothing happened: nothing is sent.
            await first.exchange.update(members: all)
            await time.advance(milliseconds: 30_000, loops: 2)
            #expect(await post.letters.count == 4)
        }
    }

    @Test("who leaves cannot read what is sent a second later, and those who stay can")
    func leaving() async throws {
        let (first, second) = (try await leg("first"), try await leg("second"))
        let (gone, stays) = (try await client("gone", keyByte: 1), try await client("stays", keyByte: 2))
        let own = try address("first")
        try await running(first, second) {
            for leg in [first, second] {
                await leg.exchange.update(members: try members(["first", "second", "gone", "stays"]))
            }
            await post.handled(6)
            await first.exchange.receive(try message(of: stays, "stays"))
            await first.exchange.receive(try message(of: gone, "gone"))
            let (spoken, alsoSpoken): ([UInt8], [UInt8]) = ([0x78, 1], [0x78, 2])
            #expect(gone.open(first.echo(try stays.seal(spoken)), of: own) == spoken)

            for leg in [first, second] {
                await leg.exchange.update(members: try members(["first", "second", "stays"]))
            }
            await post.handled(10)
            #expect(await post.keyIndices(to: try address("stays")) == [0, 0, 1, 1])
            #expect(await post.keyIndices(to: try address("gone")) == [0, 0])
            // Its own frames are nobody's at once; ours change after the delay.
            #expect(first.echo(try gone.seal(spoken)) == nil)
            #expect(first.echo(try stays.seal(spoken), at: 1_920)?.last == 0)
            await time.advance(milliseconds: 750, loops: 2)
            #expect(first.echo(try stays.seal(spoken), at: 2_880)?.last == 0)
            var later: [UInt8]?
            for _ in 0..<140 where later?.last != 1 {
                await time.advance(milliseconds: 50, loops: 2)
                later = first.echo(try stays.seal(alsoSpoken), at: 3_840)
            }
            #expect(later?.last == 1)
            #expect(stays.open(later, of: own) == alsoSpoken)
            #expect(gone.open(later, of: own) == nil)
        }
    }

    @Test("a device that is not reached gets the key when it is")
    func unreachable() async throws {
        let leg = try await leg("first")
        _ = try await client("client", keyByte: 1)
        try await running(leg) {
            await post.setReachable(try address("client"), false)
            await leg.exchange.update(members: try members(["first", "client"]))
            await post.handled(1)
            #expect(await post.missedCount == 1)
            await post.setReachable(try address("client"), true)
            for _ in 0..<100 where await post.letters.isEmpty {
                await time.advance(milliseconds: 1_000, loops: 1)
            }
            #expect(await post.keyIndices(to: try address("client")) == [0])
        }
    }

    @Test("K6: a key that comes before the membership is used when that comes")
    func k6KeyBeforeMembership() async throws {
        let leg = try await leg("first")
        let client = try await client("client", keyByte: 1)
        await leg.exchange.update(members: try members(["first"]))
        await leg.exchange.receive(try message(of: client, "client"))
        #expect(leg.echo(try client.seal([0x78, 1])) == nil)
        await leg.exchange.update(members: try members(["first", "client"]))
        #expect(leg.echo(try client.seal([0x78, 1])) != nil)
    }

    @Test(
        "K8: what says nothing usable has no effect and is counted",
        arguments: [
            ("otherRoom", ["room_id": JSONValue.string("!other:hs")]),
            ("invalidRoomID", ["room_id": .null]),
            ("missingKey", ["keys": .null]),
            ("missingKey", ["keys": .object(["index": .integer(0)])]),
            ("invalidKeyIndex", ["keys": .object(["index": .string("0"), "key": .string("AAECAwQFBgcICQoLDA0ODw")])]),
            ("invalidKeyIndex", ["keys": .object(["index": .integer(256), "key": .string("AAECAwQFBgcICQoLDA0ODw")])]),
            ("invalidKeyLength", ["keys": .object(["index": .integer(0), "key": .string("AAEC")])]),
            ("missingDeviceID", ["member": .object(["id": .string("@client:hs:CLIENT1")])]),
            ("missingMemberID", ["member": .object(["claimed_device_id": .string("CLIENT1")])]),
            (
                "otherDevice",
                ["member": .object(["id": .string("@client:hs:CLIENT2"), "claimed_device_id": .string("CLIENT2")])]
            ),
        ])
    func k8Unusable(_ reason: String, _ changes: JSONObject) async throws {
        let leg = try await leg("first")
        let client = try await client("client", keyByte: 1)
        await leg.exchange.update(members: try members(["first", "client"]))
        var message = try message(of: client, "client")
        let content = message.content
        message.content.merge(changes) { $1 }
        await leg.exchange.receive(message)
        #expect(leg.exchange.refusals.all.map { ["\($0.key.name)": $0.value] } == [[reason: 1]])
        #expect(leg.echo(try client.seal([0x78, 1])) == nil)

        message.content = content
        message.type = "m.room_key"
        await leg.exchange.receive(message)
        #expect(leg.exchange.refusals[.unreadable(.notAKeyEvent)] == 1)
        // And the same message unchanged works.
        message.type = CallKeyContent.deployedEventType
        await leg.exchange.receive(message)
        #expect(leg.echo(try client.seal([0x78, 1])) != nil)
    }

    @Test("K10: a sticky member's frames have a hashed name, a state member's a plain one")
    func k10Identities() async throws {
        let state = try #require(try members(["client"]).first.flatMap(MediaKeyExchange.sender))
        #expect(state.identity == "@client:hs:CLIENT1" && state.memberID == nil)
        let sticky = try stickyMember(
            """
            {"type":"org.matrix.msc4143.rtc.member","room_id":"!room:hs","event_id":"$sticky",
             "sender":"@alice:example.com","origin_server_ts":1790000000000,
             "msc4354_sticky":{"duration_ms":3600000},
             "content":{"slot_id":"m.call#ROOM","application":{"type":"m.call"},"msc4354_sticky_key":"memberABC",
             "member":{"id":"memberABC","claimed_user_id":"@alice:example.com","claimed_device_id":"DEVICE123"},
             "rtc_transports":[]}}
            """)
        let sender = try #require(MediaKeyExchange.sender(sticky))
        #expect(sender.identity == "J+T45tGruxc+HrUOqJJlyQSV33m728Cme4+vt8/SWrU")
        #expect(sender.memberID == "memberABC" && sender.device.device.rawValue == "DEVICE123")
    }

    @Test("content of any kind is counted or taken, and never more")
    func hostile() async throws {
        let leg = try await leg("first")
        let client = try await client("client", keyByte: 1)
        await leg.exchange.update(members: try members(["first", "client"]))
        let message = try message(of: client, "client")
        let values: [JSONValue] = [
            .null, .bool(true), .integer(.max), .integer(.min), .number(.infinity), .number(-0.5), .string(""),
            .string(String(repeating: "x", count: 70_000)), .array([]), .object([:]),
            .object(["index": .integer(0), "key": .string(String(repeating: "A", count: 100_000))]),
            .object(["id": .string(String(repeating: "y", count: 1_000)), "claimed_device_id": .string("CLIENT1")]),
        ]
        var counted: UInt64 = 0
        for key in message.content.keys {
            for value in values {
                var changed = message
                changed.content[key] = value
                await leg.exchange.receive(changed)
                changed.content = ["media_key": value, "room_id": .string(Self.room), "member_id": value]
                await leg.exchange.receive(changed)
                counted += 1
            }
        }
        // Of what is read only `sent_ts` may be anything.
        #expect(leg.exchange.refusals.all.values.reduce(0, +) == counted * 2 - UInt64(values.count))
    }
}
