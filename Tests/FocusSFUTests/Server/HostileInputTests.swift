// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

extension CallTests {
    @Suite("Hostile input to a running call")
    struct HostileInput {
        /// Two participants with sound between them.
        private static func withCall(
            _ script: @escaping @Sendable (SimulatedCall, SimulatedPeer, SimulatedTrack, SimulatedPeer) throws -> Void
        ) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                try call.wait("sound arrives", sending: { audio.send([1]) }) { bob.media(of: audio.sid).count >= 3 }
                try script(call, alice, audio, bob)
                let before = bob.media(of: audio.sid).count
                try call.wait("sound still arrives", sending: { audio.send([1]) }) {
                    bob.media(of: audio.sid).count >= before + 10
                }
                #expect(bob.downstream.refused == [])
                #expect(alice.leave == nil && bob.leave == nil)
            }
        }

        /// A socket that belongs to nobody.
        private static func stranger(of peer: SimulatedPeer) throws -> SimulatedConnection {
            let stranger = try SimulatedConnection()
            let own = "a=ice-ufrag:\(peer.publisher.remoteUsernameFragment)\na=ice-pwd:wrongwrongwrongwrongwrong\n"
            let text =
                SDPSamples.session(mids: ["0"]) + own + "a=fingerprint:sha-256 \(SDPSamples.fingerprint)\n"
                + "a=candidate:1 1 udp 1 127.0.0.1 \(peer.publisher.remotePort) typ host\n"
            try stranger.apply(SessionText(text), role: .client, at: MonotonicClock.now())
            return stranger
        }

        @Test("garbage from strangers is counted by what it looks like")
        func garbage() async throws {
            try await Self.withCall { call, _, _, bob in
                let stranger = try Self.stranger(of: bob)
                let cases: [(DropReason, [UInt8])] = [
                    (.tooShort, [0x80]),
                    (.tooLong, [UInt8](repeating: 0x80, count: 3_000)),
                    (.unknownProtocol, [UInt8](repeating: 0xFF, count: 50)),
                    (.unknownPeer, [0x80, 111] + [UInt8](repeating: 1, count: 40)),
                    (.unknownPeer, [0x80, 200] + [UInt8](repeating: 1, count: 40)),
                    (.unknownPeer, [22, 0xFE, 0xFD] + [UInt8](repeating: 1, count: 40)),
                    (.stunMalformed, [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42]),
                    (
                        .stunWrongIntegrity,
                        stranger.check(
                            username:
                                "\(bob.publisher.remoteUsernameFragment):\(bob.publisher.credentials.usernameFragment)")
                    ),
                    (.stunUnknownUsername, stranger.check(username: "nobody:me")),
                ]
                for (reason, bytes) in cases {
                    let before = call.drops(reason)
                    stranger.sendDatagram(bytes)
                    try call.wait("\(reason) is counted") { call.drops(reason) > before }
                }
                #expect(stranger.checksAnswered == 0)
            }
        }

        @Test(
            "random datagrams of a stranger and of a participant's own address do no harm", arguments: [UInt64(1), 2])
        func random(seed: UInt64) async throws {
            try await Self.withCall { call, alice, audio, bob in
                var generator = SeededGenerator(seed: seed)
                let stranger = try Self.stranger(of: bob)
                let samples = [
                    bob.publisher.check(password: "wrongwrongwrongwrongwrong"),
                    alice.publisher.sendRTP(
                        .init(
                            ssrc: audio.ssrc ^ 1, payloadType: 111, sequence: 1, timestamp: 1, marker: false,
                            payload: [1]), isLost: true),
                ]
                let before = call.ask { await $0.directory.figures().packetsReceived } ?? 0
                for _ in 0..<500 {
                    var bytes = samples[Int.random(in: 0..<2, using: &generator)]
                    if Bool.random(using: &generator) {
                        bytes = (0..<Int.random(in: 0..<200, using: &generator)).map { _ in
                            UInt8.random(in: 0...255, using: &generator)
                        }
                    }
                    if !bytes.isEmpty {
                        bytes[Int.random(in: bytes.indices, using: &generator)] ^=
                            1 << UInt8.random(in: 0..<8, using: &generator)
                    }
                    (Bool.random(using: &generator) ? stranger : alice.publisher).sendDatagram(bytes)
                }
                try call.wait("they have been read") {
                    (call.ask { await $0.directory.figures().packetsReceived } ?? 0) > before + 100
                }
            }
        }

        @Test("an address that another participant's check claimed comes back with its owner's next check")
        func claimedAddress() async throws {
            try await Self.withCall { call, alice, _, bob in
                let answered = (alice.publisher.checksAnswered, bob.publisher.checksAnswered)
                // As a NAT does that gives a port to another of its machines, or a forger of source addresses.
                alice.publisher.sendDatagram(bob.publisher.check())
                try call.wait("both have checked again") {
                    alice.publisher.checksAnswered > answered.0 && bob.publisher.checksAnswered > answered.1
                }
            }
        }

        @Test("replayed and changed media is refused and counted")
        func replay() async throws {
            try await Self.withCall { call, alice, audio, bob in
                let wire = audio.send([42])
                try call.wait("it arrives") { bob.media(of: audio.sid).contains { $0.payload == [42] } }
                alice.publisher.sendDatagram(wire)
                try call.wait("the replay is counted") { call.drops(.srtpReplayed) == 1 }
                var changed = audio.send([43], isLost: true)
                changed[changed.count - 1] ^= 1
                alice.publisher.sendDatagram(changed)
                try call.wait("the change is counted") { call.drops(.srtpAuthentication) == 1 }
                #expect(bob.media(of: audio.sid).count { $0.payload == [42] } == 1)
                #expect(!bob.media(of: audio.sid).contains { $0.payload == [43] })
            }
        }

        @Test("streams that were never negotiated are refused, and there is a limit to those that were")
        func unknownStreams() async throws {
            try await Self.withCall { call, alice, _, _ in
                alice.publisher.sendRTP(
                    .init(ssrc: 4711, payloadType: 77, sequence: 1, timestamp: 1, marker: false, payload: [1]))
                try call.wait("the unknown one is counted") { call.drops(.rtpUnknownStream) == 1 }
                for ssrc in UInt32(10_000)..<10_100 {
                    alice.publisher.sendRTP(
                        .init(ssrc: ssrc, payloadType: 111, sequence: 1, timestamp: 1, marker: false, payload: [1]),
                        extensions: [(4, Array("9".utf8))])
                }
                try call.wait("those for no section are counted") { call.drops(.rtpUnknownStream) == 101 }
            }
        }

        @Test("an authentic flood of SSRCs ends at the limit of streams")
        func streamLimit() async throws {
            try await Self.withCall { call, alice, _, bob in
                let carol = try call.join("carol")
                let track = try call.publish("flood", isVideo: false, by: carol, to: [alice, bob])
                for ssrc in UInt32(10_000)..<10_100 {
                    carol.publisher.sendRTP(
                        .init(ssrc: ssrc, payloadType: 111, sequence: 1, timestamp: 1, marker: false, payload: [1]),
                        extensions: [(4, Array(track.mid.utf8))])
                }
                try call.wait("the rest is counted") { call.drops(.rtpTooManyStreams) == 36 }
            }
        }

        @Test("RTCP that lies is refused or ignored")
        func control() async throws {
            try await Self.withCall { call, alice, audio, bob in
                bob.downstream.sendRTCP { GenericNACK.write(sender: 1, media: 4711, missing: [1, 2], into: &$0) }
                bob.downstream.sendRTCP { PictureLossIndication(sender: 1, media: 4711).write(into: &$0) }
                try call.wait("unknown streams are counted") { call.drops(.rtcpUnknownStream) >= 2 }
                bob.downstream.sendRTCP { writer in
                    for byte in [0x81, 205, 0, 1, 0, 0, 0, 1] as [UInt8] { writer.write(byte) }
                }
                try call.wait("a NACK without content is counted") { call.drops(.rtcpMalformed) >= 1 }
                _ = (alice, audio)
            }
        }

        @Test("a signal frame that is no message closes the socket, one of an unknown kind does not")
        func signal() async throws {
            try await Self.withCall { call, alice, _, bob in
                alice.socket.sendRaw(opcode: 2, [0x80, 0xFA, 0x01, 0x01])
                try call.settle([alice])
                #expect(call.focus.signalRefusals[.unknownMessage] == 1)
                let carol = try call.join("carol")
                carol.socket.sendRaw(opcode: 2, [0xFF, 0xFF, 0xFF])
                try call.wait("carol's socket is closed") { carol.socket.isClosed }
                #expect(carol.socket.closeCode == 1002)
                #expect(call.focus.signalRefusals[.malformed] == 1)
                _ = bob
            }
        }

        @Test("a flood of signal messages closes the socket")
        func flood() async throws {
            try await SimulatedCall.run(configure: { $0.limits.pendingSignalMessages = 8 }) { call in
                let alice = try call.join("alice")
                var mute = LiveKitMuteTrackRequest()
                mute.sid = "TR_none"
                try Self.hold(call) {
                    for _ in 0..<20 { alice.send(.mute(mute)) }
                    try call.wait("the socket is closed") { alice.socket.isClosed }
                }
                #expect(alice.socket.closeCode == 1008)
                #expect(call.focus.signalRefusals[.flood] >= 1)
            }
        }

        private static func hold(_ call: SimulatedCall, _ work: () throws -> Void) throws {
            var result: Result<Void, any Error> = .success(())
            call.holdingWorker { result = Result { try work() } }
            try result.get()
        }

        @Test("an unusable offer ends that session alone")
        func brokenOffer() async throws {
            try await Self.withCall { call, _, _, _ in
                let carol = try call.join("carol")
                var offer = LiveKitSessionDescription()
                offer.type = "offer"
                offer.sdp = "v=0\r\nnonsense"
                carol.send(.offer(offer))
                try call.wait("carol is told to start anew") {
                    carol.leave?.reason == .stateMismatch && carol.leave?.action == .reconnect
                }
            }
        }
    }
}
