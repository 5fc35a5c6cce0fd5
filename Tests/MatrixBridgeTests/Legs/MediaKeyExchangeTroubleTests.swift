// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Logging
import OlmE2EE
import Testing

@testable import MatrixBridge

/// Keys with strangers, crowds and slow servers.
extension MediaKeyExchangeTests {
    @Test("keys of people who are not in the room are in nobody's way")
    func strangers() async throws {
        let leg = try await leg("first")
        let client = try await client("client", keyByte: 1)
        await leg.exchange.update(members: try members(["first"]))
        await leg.exchange.receive(try message(of: client, "client"))
        for number in 0..<1_000 {
            var message = try message(of: client, "client")
            message.sender = DeviceAddress(
                user: try #require(UserID("@s\(number):elsewhere")), device: message.sender.device)
            await leg.exchange.receive(message)
        }
        #expect((leg.exchange.refusals[.tooManyWaiting]) > 900)
        await leg.exchange.update(members: try members(["first", "client"]))
        #expect(leg.echo(try client.seal([0x78, 1])) != nil)
    }

    @Test("devices of each server get their keys apart from those of others")
    func deliveriesByServer() async throws {
        let pen = SlowPen(slowServer: "slow")
        let own = try address("first")
        let exchange = MediaKeyExchange(
            room: try #require(RoomID(Self.room)), own: own, messaging: pen, frames: SealedEchoFrames(),
            clock: time.clock, logger: Logger(label: "test"), isJoined: { _ in true })
        let users = ["@a:hs", "@b:hs", "@c:slow"]
        let text = users.map { user in
            """
            {"type":"org.matrix.msc3401.call.member","room_id":"\(Self.room)","event_id":"$\(user)",
             "sender":"\(user)","origin_server_ts":1790000000000,"state_key":"_\(user)_D_m.call",
             "content":{"application":"m.call","call_id":"","scope":"m.room","device_id":"D",
             "created_ts":1790000000000,"expires":14400000,
             "focus_active":{"type":"livekit","focus_selection":"multi_sfu"},"foci_preferred":[]}}
            """
        }
        var roster = CallRoster()
        for event in text { try apply(event, to: &roster) }
        await withDiscardingTaskGroup { group in
            group.addTask { await exchange.run() }
            await exchange.update(members: roster.calls.flatMap(\.members))
            #expect(await pen.first() == ["@a:hs", "@b:hs"])
            group.cancelAll()
        }
    }

    @Test("members beyond what a leg serves are counted")
    func crowd() async throws {
        let leg = try await leg("first")
        let names = (0...MediaKeyInbox<DeviceAddress>.maximumMembers).map { "m\($0)" }
        await leg.exchange.update(members: try members(names))
        #expect(leg.exchange.refusals.all == [.tooManyMembers: 1, .tooManyDevices: 1])
    }

    /// A homeserver that never hears from one server.
    private struct SlowPen: ToDeviceMessaging {
        let slowServer: String
        private let sent = AsyncStream.makeStream(of: Set<String>.self)

        init(slowServer: String) { self.slowServer = slowServer }

        func send(
            _ type: String, _ contents: [DeviceAddress: JSONObject],
        ) async -> [DeviceAddress: ToDeviceFailure] {
            if contents.keys.contains(where: { $0.user.serverName.rawValue == slowServer }) {
                try? await Task.sleep(for: .seconds(3_600))
                return contents.mapValues { _ in .unknownDevice }
            }
            sent.continuation.yield(Set(contents.keys.map(\.user.rawValue)))
            return [:]
        }

        /// To whom the first messages went that came through.
        func first() async -> Set<String> {
            for await users in sent.stream { return users }
            return []
        }

        func messages(ofTypes types: Set<String>) async -> AsyncStream<ToDeviceMessage> { AsyncStream { $0.finish() } }
    }
}
