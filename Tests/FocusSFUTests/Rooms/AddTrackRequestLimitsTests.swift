// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Limits of a track's announcement")
struct AddTrackRequestLimitsTests {
    private static func request(_ change: (inout LiveKitAddTrackRequest) -> Void) -> LiveKitAddTrackRequest {
        var request = LiveKitAddTrackRequest()
        request.cid = "camera"
        request.type = .video
        request.layers = Array(repeating: LiveKitVideoLayer(), count: 3)
        change(&request)
        return request
    }

    private static let long = String(repeating: "x", count: 257)

    @Test("what a client says passes")
    func ordinary() {
        var codec = LiveKitSimulcastCodec()
        codec.codec = "vp9"
        codec.layers = Array(repeating: LiveKitVideoLayer(), count: 3)
        #expect(Self.request { $0.simulcastCodecs = [codec, codec] }.isWithinLimits)
        #expect(Self.request { $0.name = String(repeating: "x", count: 256) }.isWithinLimits)
    }

    @Test("long texts and long lists do not")
    func excessive() {
        #expect(!Self.request { $0.cid = Self.long }.isWithinLimits)
        #expect(!Self.request { $0.name = Self.long }.isWithinLimits)
        #expect(!Self.request { $0.stream = Self.long }.isWithinLimits)
        var layer = LiveKitVideoLayer()
        layer.rid = Self.long
        #expect(!Self.request { $0.layers = [layer] }.isWithinLimits)
        #expect(!Self.request { $0.layers = Array(repeating: LiveKitVideoLayer(), count: 5) }.isWithinLimits)
        var codec = LiveKitSimulcastCodec()
        #expect(!Self.request { $0.simulcastCodecs = Array(repeating: codec, count: 5) }.isWithinLimits)
        codec.layers = [layer]
        #expect(!Self.request { $0.simulcastCodecs = [codec] }.isWithinLimits)
        #expect(!Self.request { $0.audioFeatures = Array(repeating: .tfStereo, count: 17) }.isWithinLimits)
        var update = LiveKitUpdateLocalAudioTrack()
        update.features = Array(repeating: .tfStereo, count: 17)
        #expect(!update.isWithinLimits)
    }
}

extension CallTests {
    @Suite("What others are told of a track")
    struct AnnouncedTracks {
        @Test("a name of megabytes reaches nobody")
        func longName() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                var request = LiveKitAddTrackRequest()
                request.cid = "mic"
                request.type = .audio
                request.name = String(repeating: "x", count: 500_000)
                alice.send(.addTrack(request))
                try call.wait("it is refused") {
                    alice.requestResponses.contains { $0.reason == .limitExceeded && $0.request == nil }
                }
                #expect(call.focus.signalRefusals[.trackTooLarge] == 1)
                #expect(alice.leave == nil && bob.participant("alice")?.tracks.isEmpty == true)
            }
        }

        @Test("a video section does not carry a track that was announced as a microphone")
        func disguised() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice") { $0.video?.canPublishSources = ["microphone"] }
                let bob = try call.join("bob")
                var request = LiveKitAddTrackRequest()
                request.cid = "camera"
                request.type = .video
                request.source = .microphone
                alice.send(.addTrack(request))
                try call.wait("it is refused") { alice.requestResponses.contains { $0.reason == .notAllowed } }
                request.type = .audio
                alice.send(.addTrack(request))
                // The video section that goes by that name.
                _ = alice.publish("camera", isVideo: true)
                try call.settle([alice, bob])
                #expect(bob.participant("alice")?.tracks.isEmpty == true)
            }
        }
    }
}
