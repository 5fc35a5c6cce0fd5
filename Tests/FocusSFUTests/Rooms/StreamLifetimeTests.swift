// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Synchronization
import Testing

@testable import FocusSFU

extension CallTests {
    @Suite("Lifetime of streams, whatever the description says")
    struct StreamLifetime {
        private final class Verdict: Sendable {
            let streams = Atomic<Int>(-1)
            let dangling = Atomic<Int>(0)
        }

        /// Counts the streams of a participant, and what leads from it to streams that are no more.
        private static func inspect(_ call: SimulatedCall, _ identity: String) throws -> (streams: Int, dangling: Int) {
            let verdict = Verdict()
            let worker = call.worker
            Task {
                try await worker.administer(room: "room") { room in
                    guard let participant = room.participants[identity] else { return }
                    let route = participant.publisher.route
                    let streams = Set((0..<route.pointee.streamCount).map { route.pointee.stream(at: $0) })
                    let led =
                        streams.compactMap { $0.pointee.repaired }
                        + participant.publications.tracks.flatMap { $0.layers.values }
                    let repaired = streams.compactMap { $0.pointee.repaired }.filter(streams.contains)
                    verdict.dangling.store(
                        led.count { !streams.contains($0) } + repaired.count { $0.pointee.repaired != nil },
                        ordering: .relaxed)
                    verdict.streams.store(streams.count, ordering: .relaxed)
                }
            }
            try call.wait("the worker has looked") { verdict.streams.load(ordering: .relaxed) >= 0 }
            return (verdict.streams.load(ordering: .relaxed), verdict.dangling.load(ordering: .relaxed))
        }

        @Test(
            "a stream that claims to repair a repairing one is none, and the end of the media takes what repairs it along"
        )
        func chainOfRepairs() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                alice.videoAttributes =
                    "a=ssrc-group:FID 1 2\na=ssrc-group:FID 2 3\na=ssrc:1 cname:x\na=ssrc:2 cname:x\na=ssrc:3 cname:x\n"
                let video = alice.publish("camera", isVideo: true)
                video.ssrc = 1
                var repairs: UInt16 = 100
                func repair(_ ssrc: UInt32) {
                    repairs &+= 1
                    alice.publisher.sendRTP(
                        .init(
                            ssrc: ssrc, payloadType: SimulatedTrack.vp8RTX, sequence: repairs, timestamp: 0,
                            marker: false, payload: [0, 1] + SimulatedTrack.deltaFrame),
                        extensions: [(4, Array(video.mid.utf8))])
                }
                try call.wait(
                    "bob sees it",
                    sending: {
                        video.send(SimulatedTrack.keyFrame)
                        repair(2)
                        repair(3)
                    }
                ) { !video.sid.isEmpty && bob.media(of: video.sid).count >= 3 }
                #expect(try Self.inspect(call, "alice").dangling == 0)
                // The track ends; its media and all that repairs it goes.
                alice.unpublish(video)
                try call.wait("the track is gone", sending: { repair(3) }) {
                    bob.participant("alice")?.tracks.isEmpty == true
                }
                let after = try Self.inspect(call, "alice")
                #expect(after.dangling == 0)
                #expect(after.streams == 0)
            }
        }

        @Test("a stream stays with the section of its name when an offer lists the sections in another order")
        func reorderedSections() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let first = try call.publish("first", isVideo: true, by: alice, to: [bob])
                try call.wait("bob sees it", sending: { first.send(SimulatedTrack.keyFrame) }) {
                    bob.media(of: first.sid).count >= 3
                }
                let second = alice.publish("second", isVideo: true, offers: false)
                alice.swapLastSections()
                alice.offer()
                try call.wait(
                    "bob sees both",
                    sending: {
                        first.send(SimulatedTrack.keyFrame)
                        second.send(SimulatedTrack.keyFrame)
                    }
                ) { !second.sid.isEmpty && bob.media(of: second.sid).count >= 3 }
                alice.unpublish(first)
                try call.wait("the first is gone", sending: { second.send(SimulatedTrack.keyFrame) }) {
                    bob.participant("alice")?.tracks.map(\.sid) == [second.sid]
                }
                let after = try Self.inspect(call, "alice")
                #expect(after.dangling == 0)
                #expect(after.streams == 1)
            }
        }

        @Test("a stream that goes on with another codec after its numbers have wrapped is deciphered")
        func codecChangeAfterWrap() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let video = try call.publish("cam", isVideo: true, by: alice, to: [bob], firstSequence: 65_530)
                try call.wait("bob sees it", sending: { video.send(SimulatedTrack.keyFrame) }) {
                    video.sequence < 30_000 && bob.media(of: video.sid).count >= 10
                }
                let late = video.sequence
                video.payloadType = SimulatedTrack.vp9
                try call.wait("bob sees the other codec", sending: { video.send(SimulatedTrack.vp9KeyFrame) }) {
                    bob.media(of: video.sid).contains { $0.payload == SimulatedTrack.vp9KeyFrame }
                }
                #expect(call.drops(.srtpAuthentication) == 0)

                // A late packet of the first codec does not bring it back.
                let next = video.sequence
                video.payloadType = SimulatedTrack.vp8
                video.sequence = late &- 1_000
                video.send(SimulatedTrack.keyFrame)
                video.payloadType = SimulatedTrack.vp9
                video.sequence = next
                let seen = bob.media(of: video.sid).count
                try call.wait("bob still sees it", sending: { video.send(SimulatedTrack.vp9KeyFrame) }) {
                    bob.media(of: video.sid).count >= seen + 10
                }
                #expect(bob.media(of: video.sid).last?.payload == SimulatedTrack.vp9KeyFrame)
            }
        }

        @Test("a client may go back to an SSRC that another one had replaced", arguments: [false, true])
        func formerSource(isVideo: Bool) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let track = try call.publish("source", isVideo: isVideo, by: alice, to: [bob])
                let first = track.ssrc
                for ssrc in [first, first ^ 2, first] {
                    track.ssrc = ssrc
                    let seen = bob.media(of: track.sid).count
                    try call.wait("bob gets it", sending: { track.send(isVideo ? SimulatedTrack.keyFrame : [1]) }) {
                        bob.media(of: track.sid).count >= seen + 3
                    }
                }
                #expect(isContiguous(bob.media(of: track.sid).map(\.sequence)))
                #expect(try Self.inspect(call, "alice").dangling == 0)
            }
        }

        @Test("a client may go back to a former SSRC after it has changed the codec", arguments: [false, true])
        func formerSourceOfAnotherCodec(goesOn: Bool) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let video = try call.publish("cam", isVideo: true, by: alice, to: [bob])
                let first = video.ssrc
                for (ssrc, isVP9) in [(first, false), (first ^ 2, false), (first ^ 2, true), (first, goesOn)] {
                    video.ssrc = ssrc
                    video.payloadType = isVP9 ? SimulatedTrack.vp9 : SimulatedTrack.vp8
                    let frame = isVP9 ? SimulatedTrack.vp9KeyFrame : SimulatedTrack.keyFrame
                    let seen = bob.media(of: video.sid).count { $0.payload == frame }
                    try call.wait("bob gets it", sending: { video.send(frame) }) {
                        let media = bob.media(of: video.sid)
                        return media.last?.payload == frame && media.count { $0.payload == frame } >= seen + 3
                    }
                }
                #expect(try Self.inspect(call, "alice").dangling == 0)
            }
        }

        @Test("nobody begins with a key frame whose first packet comes late")
        func lateBeginning() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let video = try call.publish("cam", isVideo: true, by: alice, to: [bob])
                video.send(SimulatedTrack.deltaFrame)
                let lost = video.sequence
                video.send(SimulatedTrack.keyFrame, isLost: true)
                for _ in 0..<2 { video.send(SimulatedTrack.deltaFrame) }
                try call.wait("it is missed") {
                    alice.publisher.control.contains { control in
                        if case .nack(_, let sequences) = control { return sequences.contains(lost) }
                        return false
                    }
                }
                video.retransmit(lost)
                for _ in 0..<2 { video.send(SimulatedTrack.deltaFrame) }
                try call.wait("bob sees it", sending: { video.send(SimulatedTrack.keyFrame) }) {
                    bob.media(of: video.sid).count >= 3
                }
                #expect(bob.media(of: video.sid).allSatisfy { $0.payload == SimulatedTrack.keyFrame })
                #expect(isContiguous(bob.media(of: video.sid).map(\.sequence)))
            }
        }

        @Test("reception reports come to all streams in turn")
        func reports() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                let ssrcs = Set((1...40).map { UInt32($0) })
                try call.wait(
                    "all are reported",
                    sending: {
                        for ssrc in ssrcs {
                            audio.ssrc = ssrc
                            audio.send([1])
                        }
                    }
                ) {
                    let blocks = alice.publisher.control.flatMap { control in
                        if case .receiverReport(let report) = control { return report.reportBlocks }
                        return []
                    }
                    return ssrcs.isSubset(of: blocks.map(\.ssrc))
                }
            }
        }

        @Test("media that comes before its announcement in another codec than the first reaches others as what it is")
        func codecBeforeAnnouncement() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let video = alice.publish("cam", isVideo: true, announces: false)
                video.payloadType = SimulatedTrack.vp9
                try call.wait("it is of nothing yet", sending: { video.send(SimulatedTrack.vp9KeyFrame) }) {
                    alice.publisher.isConnected && call.drops(.rtpUnknownStream) >= 3
                }
                alice.announce("cam", isVideo: true)
                try call.wait("bob sees it", sending: { video.send(SimulatedTrack.vp9KeyFrame) }) {
                    !video.sid.isEmpty && bob.media(of: video.sid).count >= 3
                }
                #expect(bob.media(of: video.sid).allSatisfy { $0.payloadType == SimulatedTrack.vp9 })
                #expect(bob.participant("alice")?.tracks.map { $0.mimeType.lowercased() } == ["video/vp9"])
            }
        }
    }
}
