// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FoundationEssentials
import SwiftProtobuf
import Testing

@testable import FocusSFU

extension CallTests {
    @Suite("Data packets")
    struct DataExchange {
        private static func packet(_ text: String, to identities: [String] = [], sequence: UInt32 = 0) throws -> [UInt8]
        {
            var packet = LiveKitDataPacket()
            packet.user.payload = Data(text.utf8)
            packet.destinationIdentities = identities
            packet.sequence = sequence
            return try packet.serializedBytes()
        }

        private static func texts(_ peer: SimulatedPeer, _ label: String) -> [String] {
            peer.downstream.messages.filter { $0.label == label }.compactMap { message in
                guard let packet = try? LiveKitDataPacket(serializedBytes: message.bytes) else { return nil }
                return "\(packet.participantIdentity): \(String(decoding: packet.user.payload, as: UTF8.self))"
            }
        }

        private static func connect(_ call: SimulatedCall, _ peers: [SimulatedPeer]) throws {
            for peer in peers where peer.generation == .two { peer.offer() }
            try call.wait("data channels are open") {
                peers.allSatisfy { peer in
                    [peer.publisher, peer.downstream].allSatisfy {
                        $0.channelIDs["_reliable"] != nil && $0.channelIDs["_lossy"] != nil
                    }
                }
            }
        }

        @Test("the data section may come after the media", arguments: SimulatedPeer.Generation.allCases)
        func late(generation: SimulatedPeer.Generation) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", generation, offersData: false)
                let bob = try call.join("bob")
                _ = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                alice.offerData()
                try Self.connect(call, [alice, bob])
                #expect(alice.publisher.send(try Self.packet("hello"), label: "_reliable") == .queued)
                try call.wait("it arrives") { Self.texts(bob, "_reliable") == ["alice: hello"] }
            }
        }

        @Test(
            "both kinds go both ways", arguments: SimulatedPeer.Generation.allCases, SimulatedPeer.Generation.allCases)
        func bothWays(first: SimulatedPeer.Generation, second: SimulatedPeer.Generation) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", first)
                let bob = try call.join("bob", second)
                try Self.connect(call, [alice, bob])
                for (sender, receiver) in [(alice, bob), (bob, alice)] {
                    for label in ["_reliable", "_lossy"] {
                        #expect(sender.publisher.send(try Self.packet("hello"), label: label) == .queued)
                        try call.wait("\(label) arrives") {
                            Self.texts(receiver, label) == ["\(sender.identity): hello"]
                        }
                    }
                    #expect(Self.texts(sender, "_reliable").contains { $0.hasPrefix(sender.identity) } == false)
                }
            }
        }

        @Test("who speaks is not for a client to say")
        func speakers() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                try Self.connect(call, [alice, bob])
                var packet = LiveKitDataPacket()
                packet.speaker.speakers = [LiveKitSpeakerInfo()]
                #expect(alice.publisher.send(try packet.serializedBytes(), label: "_reliable") == .queued)
                try call.wait("it is refused") { call.drops(.dataNotPermitted) == 1 }
                #expect(alice.publisher.send(try Self.packet("after"), label: "_reliable") == .queued)
                try call.wait("what follows arrives") { !Self.texts(bob, "_reliable").isEmpty }
                #expect(Self.texts(bob, "_reliable") == ["alice: after"])
            }
        }

        @Test("fifteen KiB pass, in order")
        func large() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob", .two)
                try Self.connect(call, [alice, bob])
                let texts = (0..<20).map { "\($0) " + String(repeating: "x", count: 15 * 1024) }
                for (index, text) in texts.enumerated() {
                    try call.wait("there is room") {
                        alice.publisher.send(try Self.packet(text, sequence: UInt32(index + 1)), label: "_reliable")
                            == .queued
                    }
                }
                try call.wait("all arrive") { Self.texts(bob, "_reliable").count == 20 }
                #expect(Self.texts(bob, "_reliable") == texts.map { "alice: \($0)" })
            }
        }

        @Test("destinations get it, others do not")
        func destinations() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let carol = try call.join("carol", .two)
                try Self.connect(call, [alice, bob, carol])
                #expect(
                    alice.publisher.send(try Self.packet("for carol", to: ["carol"]), label: "_reliable") == .queued)
                #expect(alice.publisher.send(try Self.packet("for all"), label: "_reliable") == .queued)
                try call.wait("bob has the second, carol both") {
                    Self.texts(bob, "_reliable") == ["alice: for all"]
                        && Self.texts(carol, "_reliable") == ["alice: for carol", "alice: for all"]
                }
            }
        }

        @Test("a repeated reliable packet is dropped and counted")
        func replayed() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                try Self.connect(call, [alice, bob])
                for (text, sequence) in [("one", UInt32(1)), ("two", 2), ("one", 1), ("three", 3)] {
                    #expect(
                        alice.publisher.send(try Self.packet(text, sequence: sequence), label: "_reliable") == .queued)
                }
                try call.wait("three arrives") { Self.texts(bob, "_reliable").count == 3 }
                #expect(Self.texts(bob, "_reliable") == ["alice: one", "alice: two", "alice: three"])
                #expect(call.drops(.dataReplayed) == 1)
            }
        }

        @Test("data of one who may not send it, and data that is none, are dropped and counted")
        func refused() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice") { $0.video?.canPublishData = false }
                let bob = try call.join("bob")
                try Self.connect(call, [alice, bob])
                #expect(alice.publisher.send(try Self.packet("psst"), label: "_reliable") == .queued)
                #expect(bob.publisher.send([0xFF, 0xFF, 0xFF], label: "_reliable") == .queued)
                try call.wait("both are counted") {
                    call.drops(.dataNotPermitted) == 1 && call.drops(.dataMalformed) == 1
                }
                #expect(bob.downstream.messages.isEmpty)
                #expect(bob.publisher.send(try Self.packet("still here"), label: "_reliable") == .queued)
                try call.wait("bob's next one arrives") { Self.texts(alice, "_reliable") == ["bob: still here"] }
            }
        }

        @Test("who may not receive tracks receives data")
        func noTracks() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob") { $0.video?.canSubscribe = false }
                try Self.connect(call, [alice, bob])
                #expect(alice.publisher.send(try Self.packet("hello"), label: "_reliable") == .queued)
                try call.wait("it arrives") { Self.texts(bob, "_reliable") == ["alice: hello"] }
            }
        }

        @Test("a packet without content is dropped and counted, and a hidden sender keeps its name to itself")
        func hiddenSender() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let ghost = try call.join("ghost") { $0.video?.hidden = true }
                try Self.connect(call, [alice, ghost])
                #expect(ghost.publisher.send(try LiveKitDataPacket().serializedBytes(), label: "_lossy") == .queued)
                try call.wait("it is counted") { call.drops(.dataMalformed) == 1 }
                #expect(ghost.publisher.send(try Self.packet("boo"), label: "_reliable") == .queued)
                try call.wait("it arrives") { Self.texts(alice, "_reliable") == [": boo"] }
                let message = try #require(alice.downstream.messages.last)
                let packet = try LiveKitDataPacket(serializedBytes: message.bytes)
                #expect(packet.participantSid == ghost.join?.participant.sid)
            }
        }

        @Test("reliable data waits for a receiver that is not connected yet")
        func early() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                try Self.connect(call, [alice])
                let bob = try call.enter("bob", .two)
                bob.postponesAnswers = true
                try call.wait("bob is in the room") { bob.offersReceived == 1 && alice.participant("bob") != nil }
                #expect(alice.publisher.send(try Self.packet("welcome"), label: "_reliable") == .queued)
                let carol = try call.join("carol")
                try Self.connect(call, [carol])
                #expect(carol.publisher.send(try Self.packet("me too"), label: "_reliable") == .queued)
                try call.wait("alice has carol's") { Self.texts(alice, "_reliable") == ["carol: me too"] }
                try bob.answerWaitingOffer(at: MonotonicClock.now())
                try call.wait("bob has both") { Self.texts(bob, "_reliable") == ["alice: welcome", "carol: me too"] }
            }
        }
    }
}
