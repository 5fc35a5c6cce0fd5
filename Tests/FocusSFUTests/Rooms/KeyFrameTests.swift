// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CDatagramIO
import Testing

@testable import FocusSFU

extension CallTests {
    @Suite("What becomes of key frames and layers")
    struct KeyFrames {
        private static let large = [UInt8](repeating: 0, count: 1_000)

        @Test("of what a worker has no time for, other pictures are shed and a key frame passes whole")
        func overload() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let video = try call.publish("cam", isVideo: true, by: alice, to: [bob])
                try call.wait("bob sees it", sending: { video.send(SimulatedTrack.keyFrame) }) {
                    bob.media(of: video.sid).count >= 3
                }
                let socket = try #require(call.inRoom { $0.plane.socket })
                // A payload descriptor without S: the middle of a frame, and its end.
                let keyFrame = [SimulatedTrack.keyFrame + Self.large, [0, 1] + Self.large, [0, 2] + Self.large]
                call.holdingWorker {
                    func fill(to percent: UInt32) {
                        for _ in 0..<20_000 where CDatagramIO_receive_backlog(socket) < percent {
                            video.send(SimulatedTrack.deltaFrame + Self.large)
                        }
                    }
                    fill(to: Overload.videoPercent / 2)
                    for payload in keyFrame { video.send(payload, endsFrame: payload == keyFrame.last) }
                    fill(to: Overload.keyFramePercent - 5)
                }
                try call.wait("the key frame arrives") {
                    bob.media(of: video.sid).contains { $0.payload == keyFrame[0] }
                }
                try call.wait("what follows arrives", sending: { video.send(SimulatedTrack.keyFrame) }) {
                    bob.media(of: video.sid).last?.payload == SimulatedTrack.keyFrame
                }
                let received = bob.media(of: video.sid)
                #expect(received.filter { keyFrame.contains($0.payload) }.map(\.payload) == keyFrame)
                #expect(call.drops(.overloadVideo) > 0)
                #expect(call.drops(.overloadKeyFrame) == 0)
            }
        }

        /// A camera in two layers, whose payloads end with their names.
        private struct Simulcast {
            let publisher: SimulatedPeer
            let track: SimulatedTrack
            private var sequence: UInt16 = 0

            init(by publisher: SimulatedPeer) {
                self.publisher = publisher
                publisher.videoAttributes = "a=rid:q send\na=rid:f send\na=simulcast:send q;f\n"
                track = publisher.publish("cam", isVideo: true, announces: false, offers: false)
                publisher.announce("cam", isVideo: true) { request in
                    request.layers = [LiveKitVideoQuality.low, .high].map { quality in
                        var layer = LiveKitVideoLayer()
                        layer.quality = quality
                        return layer
                    }
                }
                publisher.offer()
            }

            /// One packet of each layer named.
            mutating func send(
                _ frame: [UInt8] = SimulatedTrack.keyFrame, payloadType: UInt8 = SimulatedTrack.vp8,
                layers: [(rid: String, ssrc: UInt32)] = [("q", 100), ("f", 101)]
            ) {
                sequence &+= 1
                for (rid, ssrc) in layers {
                    publisher.publisher.sendRTP(
                        .init(
                            ssrc: ssrc, payloadType: payloadType, sequence: sequence,
                            timestamp: UInt32(sequence) * 3_000, marker: true, payload: frame + Array(rid.utf8)),
                        extensions: [(4, Array(track.mid.utf8)), (10, Array(rid.utf8))])
                }
            }
        }

        @Test("a pause of all layers leaves everybody at the layer that was shown")
        func pause() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                var video = Simulcast(by: alice)
                let track = video.track
                try call.wait("bob sees the upper layer", sending: { video.send() }) {
                    bob.media(of: track.sid).last?.payload == SimulatedTrack.keyFrame + Array("f".utf8)
                }
                try call.wait("no layer is live") {
                    call.inRoom { room in
                        room.participants["alice"]?.publications.tracks.first?
                            .bestLayer(upTo: .max, at: room.plane.now) == nil
                    } == true
                }
                let target = call.inRoom { room -> Int8? in
                    guard let bob = room.participants["bob"] else { return nil }
                    bob.selectLayers(at: room.plane.now)
                    return bob.subscriptions.downTracks.first?.stream.pointee.targetLayer
                }
                #expect(target == .some(.some(1)))
            }
        }

        @Test("a layer in another codec under another SSRC leaves none in the one before")
        func codecOfLayers() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                var video = Simulcast(by: alice)
                let track = video.track
                try call.wait("bob sees it", sending: { video.send() }) { !bob.media(of: track.sid).isEmpty }
                try call.wait(
                    "bob sees the other codec",
                    sending: {
                        video.send(
                            SimulatedTrack.vp9KeyFrame, payloadType: SimulatedTrack.vp9, layers: [("f", 201)])
                    }
                ) { bob.media(of: track.sid).last?.payloadType == SimulatedTrack.vp9 }
                let types = call.inRoom { room in
                    room.participants["alice"]?.publications.tracks.first?.layers.values.map { $0.pointee.payloadType }
                }
                #expect(types.map { Set($0 ?? []) } == [SimulatedTrack.vp9])
            }
        }
    }
}
