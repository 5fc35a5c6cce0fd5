// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

extension CallTests {
    @Suite("Announcements of tracks and their sections")
    struct PublicationTests {
        @Test("a section whose announcement is still on its way gets no track that another section names")
        func offerOvertakesAnnouncement() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let microphone = alice.publish("mic", isVideo: false, announces: false, offers: false)
                let screen = alice.publish("screen", isVideo: false)
                try call.wait("the screen's sound is published") { bob.participant("alice")?.tracks.count == 1 }
                alice.announce("mic", isVideo: false)
                try call.wait("both are published, and alice was told") {
                    bob.participant("alice")?.tracks.count == 2 && !microphone.sid.isEmpty && !screen.sid.isEmpty
                }
                let mids = bob.participant("alice").map { info in
                    Dictionary(info.tracks.map { ($0.sid, $0.mid) }, uniquingKeysWith: { first, _ in first })
                }
                #expect(mids == [microphone.sid: microphone.mid, screen.sid: screen.mid])
            }
        }

        @Test("a client that names its section otherwise gets its track by kind")
        func otherName() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                alice.announce("announced", isVideo: false)
                alice.publish("in-the-description", isVideo: false, announces: false)
                try call.wait("it is published") { bob.participant("alice")?.tracks.count == 1 }
                #expect(bob.participant("alice")?.tracks.first?.codecs.first?.sdpCid == "in-the-description")
            }
        }

        @Test("requests for a name in use wait for it, three at most")
        func sameName() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let first = try call.publish("mic", isVideo: false, by: alice, to: [])
                let sid = first.sid
                for _ in 0..<4 { alice.announce("mic", isVideo: false) }
                try call.wait("all are answered") { alice.requestResponses.count { $0.reason != .notFound } == 4 }
                #expect(
                    alice.requestResponses.map(\.reason).filter { $0 != .notFound }
                        == [.queued, .queued, .queued, .limitExceeded])
                #expect(alice.publishedTracks.count == 1)
                alice.unpublish(first)
                try call.wait("the next one is taken") { alice.publishedTracks.count == 2 }
                try call.settle([alice])
                #expect(alice.publishedTracks.count == 2)
                #expect(alice.publishedTracks[1].track.sid != sid)
            }
        }

        @Test("a codec that may not be published is replaced, and the mode of layers follows the codec")
        func codecs() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                for codec in ["h265", "vp9"] {
                    alice.announce(codec, isVideo: true) { request in
                        var wanted = LiveKitSimulcastCodec()
                        wanted.codec = codec
                        wanted.cid = codec
                        request.simulcastCodecs = [wanted]
                    }
                }
                try call.wait("both are taken") { alice.publishedTracks.count == 2 }
                let infos = alice.publishedTracks.map(\.track)
                #expect(infos.map(\.mimeType) == ["video/VP8", "video/VP9"])
                #expect(
                    infos.map(\.codecs.first?.videoLayerMode)
                        == [.oneSpatialLayerPerStream, .multipleSpatialLayersPerStream])
                let milliseconds = infos[0].version.unixMicro / 1000
                #expect(abs(milliseconds - UnixClock.milliseconds()) < 600_000)
                #expect(infos[1].version.unixMicro > infos[0].version.unixMicro)
            }
        }

        @Test("a wish for a quality gets the lowest layer that shows it")
        func layers() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                for (cid, qualities) in [
                    ("low-high", [LiveKitVideoQuality.low, .high]), ("medium-high", [.medium, .high]),
                ] {
                    alice.announce(cid, isVideo: true) { request in
                        request.layers = qualities.map { quality in
                            var layer = LiveKitVideoLayer()
                            layer.quality = quality
                            return layer
                        }
                    }
                }
                try call.settle([alice])
                let layers = call.inRoom { room -> [[Int8]] in
                    (room.participants["alice"]?.publications.pending ?? []).map { track in
                        [LiveKitVideoQuality.low, .medium, .high].map(track.layer(for:))
                    }
                }
                #expect(layers == [[0, 1, 1], [0, 0, 1]])
            }
        }
    }
}
