// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

extension CallTests {
    @Suite("Media between participants")
    struct MediaExchange {
        private static func keyFrames(_ track: SimulatedTrack) -> Int {
            track.connection.control.count { $0 == .pictureLoss(media: track.ssrc) }
        }

        /// Delta frames until the focus asks for a key frame, then one.
        private static func startVideo(_ track: SimulatedTrack, in call: SimulatedCall) throws {
            let before = keyFrames(track)
            try call.wait("a key frame is asked for", sending: { track.send(SimulatedTrack.deltaFrame) }) {
                keyFrames(track) > before
            }
            track.send(SimulatedTrack.keyFrame)
        }

        @Test(
            "two participants hear and see each other", arguments: SimulatedPeer.Generation.allCases,
            SimulatedPeer.Generation.allCases)
        func exchange(first: SimulatedPeer.Generation, second: SimulatedPeer.Generation) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", first)
                let bob = try call.join("bob", second)
                for (sender, receiver) in [(alice, bob), (bob, alice)] {
                    let audio = try call.publish("mic-\(sender.identity)", isVideo: false, by: sender, to: [receiver])
                    let video = try call.publish("cam-\(sender.identity)", isVideo: true, by: sender, to: [receiver])
                    var counter: UInt8 = 0
                    try call.wait(
                        "sound arrives",
                        sending: {
                            counter &+= 1
                            audio.send([counter, 1, 2, 3])
                        }, everyMilliseconds: 2
                    ) { receiver.media(of: audio.sid).count >= 30 }
                    let heard = receiver.media(of: audio.sid)
                    #expect(
                        heard.allSatisfy {
                            $0.payloadType == SimulatedTrack.opus && $0.payload.dropFirst() == [1, 2, 3]
                        })
                    #expect(isContiguous(heard.map(\.sequence)))
                    #expect(zip(heard, heard.dropFirst()).allSatisfy { $1.timestamp &- $0.timestamp == 960 })
                    #expect(zip(heard, heard.dropFirst()).allSatisfy { $1.payload[0] == $0.payload[0] &+ 1 })

                    try Self.startVideo(video, in: call)
                    try call.wait("pictures arrive", sending: { video.send(SimulatedTrack.deltaFrame) }) {
                        receiver.media(of: video.sid).count >= 5
                    }
                    let seen = receiver.media(of: video.sid)
                    #expect(seen.first?.payload == SimulatedTrack.keyFrame)
                    #expect(seen.allSatisfy { $0.payloadType == SimulatedTrack.vp8 && $0.marker })
                    #expect(isContiguous(seen.map(\.sequence)))
                    #expect(receiver.downstream.refused == [])
                    #expect(sender.publisher.refused == [])
                }
                #expect(alice.participant("bob")?.tracks.count == 2)
                #expect(bob.participant("alice")?.isPublisher == true)
            }
        }

        @Test("the client may be the DTLS server of its subscriber connection")
        func passiveSubscriber() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", .two, answerSetup: "passive")
                #expect(alice.subscriber?.dtls?.role == .server)
                let bob = try call.join("bob", .single)
                let audio = try call.publish("mic", isVideo: false, by: bob, to: [alice])
                try call.wait("sound arrives", sending: { audio.send([1]) }) { !alice.media(of: audio.sid).isEmpty }
            }
        }

        @Test(
            "a late joiner gets a key frame first, and nobody else notices",
            arguments: SimulatedPeer.Generation.allCases)
        func lateJoiner(generation: SimulatedPeer.Generation) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", generation)
                let bob = try call.join("bob", generation)
                let video = try call.publish("cam", isVideo: true, by: alice, to: [bob])
                try Self.startVideo(video, in: call)
                try call.wait("bob sees", sending: { video.send(SimulatedTrack.deltaFrame) }) {
                    bob.media(of: video.sid).count >= 5
                }
                let carol = try call.join("carol", generation)
                try call.wait("carol knows the track") { carol.incoming[video.sid] != nil }
                try Self.startVideo(video, in: call)
                try call.wait("carol sees", sending: { video.send(SimulatedTrack.deltaFrame) }) {
                    carol.media(of: video.sid).count >= 5
                }
                #expect(carol.media(of: video.sid).first?.payload == SimulatedTrack.keyFrame)
                #expect(isContiguous(carol.media(of: video.sid).map(\.sequence)))
                #expect(isContiguous(bob.media(of: video.sid).map(\.sequence)))
            }
        }

        @Test("a NACK is answered on the retransmission stream", arguments: SimulatedPeer.Generation.allCases)
        func nackAnswered(generation: SimulatedPeer.Generation) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", generation)
                let bob = try call.join("bob", generation)
                let video = try call.publish("cam", isVideo: true, by: alice, to: [bob])
                try Self.startVideo(video, in: call)
                try call.wait(
                    "bob sees",
                    sending: { video.send(SimulatedTrack.deltaFrame + [UInt8(truncatingIfNeeded: video.sequence)]) }
                ) {
                    bob.media(of: video.sid).count >= 10
                }
                let ssrcs = try #require(bob.incoming[video.sid])
                try #require(ssrcs.count == 2)
                let lost = bob.media(of: video.sid)[4]
                bob.downstream.sendRTCP { writer in
                    GenericNACK.write(sender: 9, media: ssrcs[0], missing: [lost.sequence], into: &writer)
                }
                try call.wait("the packet comes again") { bob.downstream.media.contains { $0.ssrc == ssrcs[1] } }
                let again = try #require(bob.downstream.media.first { $0.ssrc == ssrcs[1] })
                #expect(again.payloadType == SimulatedTrack.vp8RTX)
                #expect(again.payload == [UInt8(lost.sequence >> 8), UInt8(lost.sequence & 0xFF)] + lost.payload)
                #expect(again.timestamp == lost.timestamp)
            }
        }

        @Test("one datagram of feedback may name 64 streams and ask for one answer")
        func feedbackOfOneDatagram() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                alice.publisher.sendRTCP { writer in
                    for ssrc in 1...66 { PictureLossIndication(sender: 9, media: UInt32(ssrc)).write(into: &writer) }
                    for _ in 0..<3 {
                        ExtendedReport(sender: 9, receiverReferenceTime: 1 << 32).write(into: &writer)
                    }
                }
                try call.wait("all of it is read") { call.drops(.rtcpTooMuch) == 4 }
                #expect(call.drops(.rtcpUnknownStream) == 64)
            }
        }

        @Test("a gap is asked for, and the retransmission takes its place")
        func nackGenerated() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let video = try call.publish("cam", isVideo: true, by: alice, to: [bob], firstSequence: 65_530)
                try Self.startVideo(video, in: call)
                let missing = video.sequence
                video.send(SimulatedTrack.deltaFrame + [77], isLost: true)
                try call.wait("the gap is asked for", sending: { video.send(SimulatedTrack.deltaFrame) }) {
                    alice.publisher.control.contains {
                        if case .nack(video.ssrc, let sequences) = $0 { sequences.contains(missing) } else { false }
                    }
                }
                video.retransmit(missing)
                try call.wait("it arrives") {
                    bob.media(of: video.sid).contains { $0.payload == SimulatedTrack.deltaFrame + [77] }
                }
                let seen = bob.media(of: video.sid).sorted { SequenceNumber.isNewer($1.sequence, than: $0.sequence) }
                #expect(isContiguous(seen.map(\.sequence)))
                #expect(seen.firstIndex { $0.payload == SimulatedTrack.deltaFrame + [77] } == 1)
                // Once more is once too often.
                video.retransmit(missing)
                try call.wait("the duplicate is dropped") {
                    call.drops(.rtpDuplicate) > 0 || call.drops(.srtpReplayed) > 0
                }
            }
        }

        @Test(
            "publishers get receiver reports and transport feedback, subscribers sender reports in the publisher's clock"
        )
        func reports() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", .two)
                let bob = try call.join("bob", .two)
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                let video = try call.publish("cam", isVideo: true, by: alice, to: [bob])
                let ntp: UInt64 = 0xE000_0000_0000_0000
                let reported = audio.timestamp
                try call.wait(
                    "reports",
                    sending: {
                        audio.send([1, 2])
                        video.send(SimulatedTrack.keyFrame)
                    }
                ) {
                    let control = alice.publisher.control
                    return control.contains {
                        if case .receiverReport(let report) = $0 {
                            report.reportBlocks.contains { $0.ssrc == audio.ssrc }
                        } else {
                            false
                        }
                    } && control.contains(.transportFeedback(media: video.ssrc))
                }
                alice.publisher.sendRTCP { writer in
                    SenderReport(
                        ssrc: audio.ssrc, ntp: ntp, rtpTimestamp: reported, packetCount: 1, octetCount: 2,
                        reportBlocks: []
                    ).write(into: &writer)
                }
                let ssrc = try #require(bob.incoming[audio.sid]?.first)
                try call.wait("a sender report", sending: { audio.send([1, 2]) }) {
                    bob.downstream.control.contains {
                        if case .senderReport(let report) = $0 { report.ssrc == ssrc } else { false }
                    }
                }
                for case .senderReport(let report) in bob.downstream.control where report.ssrc == ssrc {
                    #expect(report.ntp >= ntp && report.ntp - ntp < 60 << 32)
                    #expect(report.packetCount > 0)
                    #expect(report.octetCount == report.packetCount * 2)
                }
                let alicesID = alice.join?.participant.sid ?? ""
                #expect(
                    bob.downstream.control.contains {
                        if case .description(let description) = $0 {
                            description.chunks.contains {
                                $0.ssrc == ssrc && $0.canonicalName == "\(alicesID)|\(audio.sid)"
                            }
                        } else {
                            false
                        }
                    })
            }
        }

        @Test("padding alone leaves no gap at the receiver")
        func padding() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                try call.wait("sound arrives", sending: { audio.send([1]) }) { bob.media(of: audio.sid).count >= 3 }
                for _ in 0..<5 {
                    audio.send([], padding: 20)
                    audio.send([2])
                }
                try call.wait("the rest arrives") { bob.media(of: audio.sid).count { $0.payload == [2] } == 5 }
                #expect(isContiguous(bob.media(of: audio.sid).map(\.sequence)))
            }
        }

        @Test("a stream that goes on under a new SSRC reaches its subscribers", arguments: [true, false])
        func newSSRC(isVideo: Bool) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let track = try call.publish("track", isVideo: isVideo, by: alice, to: [bob], firstSequence: 30_000)
                let payload = isVideo ? SimulatedTrack.keyFrame : [5]
                try call.wait("media arrives", sending: { track.send(payload) }) { bob.media(of: track.sid).count >= 5 }
                // As a client does that tears its sender down and up again: everything random starts anew.
                track.ssrc ^= 0x5555_0000
                track.sequence = 100
                track.timestamp &+= 1 << 30
                let fresh = payload + [9]
                try call.wait("the new stream arrives", sending: { track.send(fresh) }) {
                    bob.media(of: track.sid).count { $0.payload == fresh } >= 5
                }
                #expect(isContiguous(bob.media(of: track.sid).map(\.sequence)))
            }
        }

        @Test("a NACK is never answered with a packet of another stream")
        func nackAcrossStreams() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob], firstSequence: 500)
                let ssrc = try #require(bob.incoming[audio.sid]?.first)
                try call.wait("sound arrives", sending: { audio.send([1]) }) { bob.media(of: audio.sid).count >= 5 }
                let last = try #require(bob.media(of: audio.sid).last)
                let lost = last.sequence &+ 1
                bob.downstream.loses = { $0 == ssrc && $1 == lost }
                let restart = audio.sequence
                audio.send([1])
                try call.wait("the next one arrives", sending: { audio.send([1]) }) {
                    bob.media(of: audio.sid).contains { SequenceNumber.isNewer($0.sequence, than: lost) }
                }
                // The stream begins anew under another SSRC with numbers used before.
                audio.ssrc ^= 0x5555_0000
                audio.sequence = restart
                try call.wait("the new stream arrives", sending: { audio.send([2]) }) {
                    bob.media(of: audio.sid).count { $0.payload == [2] } >= 5
                }
                bob.downstream.loses = { _, _ in false }
                bob.downstream.sendRTCP { GenericNACK.write(sender: 9, media: ssrc, missing: [lost], into: &$0) }
                bob.downstream.sendRTCP { GenericNACK.write(sender: 9, media: 4711, missing: [1], into: &$0) }
                try call.wait("the request has been read") { call.drops(.rtcpUnknownStream) == 1 }
                // What was sent in answer lies before these in the socket.
                try call.wait("sound goes on", sending: { audio.send([3]) }) {
                    bob.media(of: audio.sid).contains { $0.payload == [3] }
                }
                #expect(!bob.media(of: audio.sid).contains { $0.sequence == lost && $0.payload == [2] })
            }
        }

        @Test("speakers are announced")
        func speakers() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                try call.wait("alice speaks", sending: { audio.send([1], level: 0x80 | 20) }) {
                    bob.speakerUpdates.contains { update in
                        update.speakers.contains { $0.sid == alice.join?.participant.sid && $0.active && $0.level > 0 }
                    }
                }
            }
        }
    }
}
