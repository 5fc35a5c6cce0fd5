// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

extension CallTests {
    @Suite("Publishing and subscribing")
    struct Subscribing {
        private static func subscription(_ sid: String, _ subscribe: Bool) -> LiveKitSignalRequest.OneOf_Message {
            var request = LiveKitUpdateSubscription()
            request.trackSids = [sid]
            request.subscribe = subscribe
            return .subscription(request)
        }

        @Test("a mute is told to the others, once", arguments: SimulatedPeer.Generation.allCases)
        func mute(generation: SimulatedPeer.Generation) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", generation)
                let bob = try call.join("bob", generation)
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                for muted in [true, false] {
                    var request = LiveKitMuteTrackRequest()
                    request.sid = audio.sid
                    request.muted = muted
                    alice.send(.mute(request))
                    alice.send(.mute(request))
                    try call.wait("bob learns of it") { bob.participant("alice")?.tracks.first?.muted == muted }
                }
                try call.settle([alice])
                let versions = bob.versions(of: "alice")
                #expect(versions == versions.sorted() && Set(versions).count == versions.count)
            }
        }

        @Test(
            "an unpublished track ends for everybody, and its sections serve the next one",
            arguments: SimulatedPeer.Generation.allCases)
        func unpublish(generation: SimulatedPeer.Generation) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", generation)
                let bob = try call.join("bob", generation)
                let first = try call.publish("first", isVideo: true, by: alice, to: [bob])
                try call.wait("pictures arrive", sending: { first.send(SimulatedTrack.keyFrame) }) {
                    !bob.media(of: first.sid).isEmpty
                }
                let received = bob.incomingMid[first.sid]
                alice.unpublish(first)
                try call.wait("bob learns of it") {
                    bob.participant("alice")?.tracks.isEmpty == true && bob.incoming[first.sid] == nil
                }
                let second = try call.publish("second", isVideo: true, by: alice, to: [bob])
                #expect(second.sid != first.sid)
                #expect(second.mid == first.mid)
                #expect(bob.incomingMid[second.sid] == received)
                try call.wait("pictures of the next one arrive", sending: { second.send(SimulatedTrack.keyFrame) }) {
                    bob.media(of: second.sid).count >= 3
                }
            }
        }

        @Test(
            "unsubscribing stops a track alone, subscribing brings it back",
            arguments: SimulatedPeer.Generation.allCases)
        func unsubscribe(generation: SimulatedPeer.Generation) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", generation)
                let bob = try call.join("bob", generation)
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                let video = try call.publish("cam", isVideo: true, by: alice, to: [bob])
                try call.wait("pictures arrive", sending: { video.send(SimulatedTrack.keyFrame) }) {
                    !bob.media(of: video.sid).isEmpty
                }
                let ssrc = try #require(bob.incoming[video.sid]?.first)
                bob.send(Self.subscription(video.sid, false))
                try call.wait("the section is vacated") { bob.incoming[video.sid] == nil }
                try call.settle([bob])
                let before = bob.downstream.media.count { $0.ssrc == ssrc }
                for _ in 0..<10 { video.send(SimulatedTrack.keyFrame) }
                // Sound, sent later on the same path, proves that the pictures had their chance.
                try call.wait("sound still arrives", sending: { audio.send([7]) }) {
                    bob.media(of: audio.sid).count >= 3
                }
                #expect(bob.downstream.media.count { $0.ssrc == ssrc } == before)

                bob.send(Self.subscription(video.sid, true))
                try call.wait("it is back", sending: { video.send(SimulatedTrack.keyFrame) }) {
                    bob.incoming[video.sid] != nil && bob.media(of: video.sid).count >= 3
                }
            }
        }

        @Test("who chooses by itself gets only what it asks for")
        func manual() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob", .two, autoSubscribe: false)
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [])
                try call.wait("bob hears of it") { bob.participant("alice")?.tracks.count == 1 }
                #expect(bob.incoming.isEmpty)
                bob.send(Self.subscription(audio.sid, true))
                try call.wait("sound arrives", sending: { audio.send([1]) }) { !bob.media(of: audio.sid).isEmpty }
                let impossible = String(repeating: "T", count: 100)
                bob.send(Self.subscription(impossible, true))
                try call.wait("what can never come is refused") {
                    bob.subscriptionResponses.contains { $0.trackSid == impossible && $0.err == .seTrackNotfound }
                }
            }
        }

        @Test("a disabled track pauses and comes back with a key frame")
        func disabled() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                let video = try call.publish("cam", isVideo: true, by: alice, to: [bob])
                try call.wait("pictures arrive", sending: { video.send(SimulatedTrack.keyFrame) }) {
                    !bob.media(of: video.sid).isEmpty
                }
                var settings = LiveKitUpdateTrackSettings()
                settings.trackSids = [video.sid]
                settings.disabled = true
                bob.send(.trackSetting(settings))
                try call.settle([bob])
                let before = bob.media(of: video.sid).count
                video.send(SimulatedTrack.keyFrame)
                try call.wait("sound arrives", sending: { audio.send([7]) }) { bob.media(of: audio.sid).count >= 3 }
                #expect(bob.media(of: video.sid).count == before)
                settings.disabled = false
                bob.send(.trackSetting(settings))
                try call.settle([bob])
                video.send(SimulatedTrack.deltaFrame)
                try call.wait("pictures are back", sending: { video.send(SimulatedTrack.keyFrame) }) {
                    bob.media(of: video.sid).count > before
                }
                #expect(bob.media(of: video.sid)[before].payload == SimulatedTrack.keyFrame)
                #expect(isContiguous(bob.media(of: video.sid).map(\.sequence)))
            }
        }

        @Test("what a client said of a track holds when it is sent anew")
        func settingsAreKept() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                let video = try call.publish("cam", isVideo: true, by: alice, to: [bob])
                var settings = LiveKitUpdateTrackSettings()
                settings.trackSids = [video.sid]
                settings.disabled = true
                bob.send(.trackSetting(settings))
                bob.subscribe(to: [video.sid], false)
                try call.wait("bob has left it") { bob.incoming[video.sid] == nil }
                bob.subscribe(to: [video.sid])
                try call.wait("bob has it again") { bob.incoming[video.sid] != nil }
                try call.wait(
                    "sound arrives",
                    sending: {
                        video.send(SimulatedTrack.keyFrame)
                        audio.send([7])
                    }
                ) { bob.media(of: audio.sid).count >= 10 }
                #expect(bob.media(of: video.sid).isEmpty)
                settings.disabled = false
                bob.send(.trackSetting(settings))
                try call.wait("pictures arrive", sending: { video.send(SimulatedTrack.keyFrame) }) {
                    !bob.media(of: video.sid).isEmpty
                }
            }
        }

        @Test("with one connection the server asks for the sections it misses, and for no more")
        func requirement() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", .two)
                let bob = try call.join("bob", .single, spareSections: 1)
                var tracks: [SimulatedTrack] = []
                for index in 0..<3 {
                    tracks.append(try call.publish("mic-\(index)", isVideo: false, by: alice, to: [bob]))
                }
                #expect(bob.requirements.reduce(0) { $0 + $1.numAudios } == 2)
                #expect(bob.requirements.reduce(0) { $0 + $1.numVideos } == 0)
                #expect(Set(tracks.compactMap { bob.incomingMid[$0.sid] }).count == 3)
                try call.wait("all sound arrives", sending: { for track in tracks { track.send([1]) } }) {
                    tracks.allSatisfy { !bob.media(of: $0.sid).isEmpty }
                }
            }
        }

        @Test("a client with one connection that makes no room is asked a few times, and again for another track")
        func requirementInVain() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", .two)
                let bob = try call.join("bob", .single, spareSections: 0)
                bob.takesNoVideo = true
                _ = try call.publish("cam", isVideo: true, by: alice, to: [])
                try call.wait("bob is asked for room") { !bob.requirements.isEmpty }
                let seen = MonotonicClock.now()
                try call.wait("time for a dozen questions") {
                    MonotonicClock.now().milliseconds(since: seen) > 2_000
                }
                #expect(bob.requirements.count <= 4)
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                try call.wait("sound arrives", sending: { audio.send([1]) }) { !bob.media(of: audio.sid).isEmpty }
            }
        }

        @Test("a publisher's restriction holds and can be lifted")
        func restriction() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let carol = try call.join("carol")
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob, carol])
                var permission = LiveKitSubscriptionPermission()
                var entry = LiveKitTrackPermission()
                entry.participantIdentity = "carol"
                entry.allTracks = true
                permission.trackPermissions = [entry]
                alice.send(.subscriptionPermission(permission))
                try call.wait("bob is told and cut off") {
                    bob.incoming[audio.sid] == nil
                        && bob.permissionUpdates.contains { $0.trackSid == audio.sid && !$0.allowed }
                }
                #expect(carol.incoming[audio.sid] != nil)
                permission.allParticipants = true
                alice.send(.subscriptionPermission(permission))
                try call.wait("sound is back", sending: { audio.send([1]) }) { !bob.media(of: audio.sid).isEmpty }
            }
        }

        @Test("a track may be asked for before it is there")
        func early() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob", .two, autoSubscribe: false)
                let audio = alice.publish("mic", isVideo: false, offers: false)
                try call.wait("the track is announced") { !audio.sid.isEmpty }
                bob.subscribe(to: [audio.sid])
                try call.settle([bob])
                alice.offer()
                try call.wait("sound arrives", sending: { audio.send([1]) }) { !bob.media(of: audio.sid).isEmpty }
                #expect(bob.subscriptionResponses.isEmpty)
            }
        }

        @Test("who comes to a restricted track is told once, and gets it when it may", arguments: [true, false])
        func restrictionForNewcomers(autoSubscribe: Bool) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [])
                alice.send(.subscriptionPermission(LiveKitSubscriptionPermission()))
                try call.settle([alice])
                let bob = try call.join("bob", .two, autoSubscribe: autoSubscribe)
                bob.subscribe(to: [audio.sid])
                bob.subscribe(to: [audio.sid])
                try call.settle([bob])
                #expect(bob.permissionUpdates.map(\.allowed) == [false])
                #expect(bob.permissionUpdates.first?.participantSid == alice.join?.participant.sid)
                #expect(bob.incoming.isEmpty)
                var permission = LiveKitSubscriptionPermission()
                permission.allParticipants = true
                alice.send(.subscriptionPermission(permission))
                try call.wait("sound arrives", sending: { audio.send([1]) }) { !bob.media(of: audio.sid).isEmpty }
                #expect(bob.permissionUpdates.map(\.allowed) == [false, true])
            }
        }

        @Test("a muted track is not forwarded, whatever its client sends, and comes back with a key frame")
        func mutedTracksRest() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                let video = try call.publish("cam", isVideo: true, by: alice, to: [bob])
                try call.wait("pictures arrive", sending: { video.send(SimulatedTrack.keyFrame) }) {
                    !bob.media(of: video.sid).isEmpty
                }
                alice.mute(video, true)
                try call.settle([alice])
                let before = bob.media(of: video.sid).count
                for _ in 0..<10 { video.send(SimulatedTrack.keyFrame) }
                // Sound, sent later on the same path, proves that the pictures had their chance.
                try call.wait("sound arrives", sending: { audio.send([7]) }) { bob.media(of: audio.sid).count >= 3 }
                #expect(bob.media(of: video.sid).count == before)
                alice.publisher.control = []
                alice.mute(video, false)
                try call.settle([alice])
                try call.wait("a key frame is asked for", sending: { video.send(SimulatedTrack.deltaFrame) }) {
                    alice.publisher.control.contains(.pictureLoss(media: video.ssrc))
                }
                try call.wait("pictures are back", sending: { video.send(SimulatedTrack.keyFrame) }) {
                    bob.media(of: video.sid).count > before
                }
                #expect(bob.media(of: video.sid)[before].payload == SimulatedTrack.keyFrame)
                #expect(isContiguous(bob.media(of: video.sid).map(\.sequence)))
            }
        }

        @Test("what a token does not allow is refused with a reason")
        func notAllowed() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice") { $0.video?.canPublishSources = ["microphone"] }
                alice.publish("cam", isVideo: true, offers: false)
                try call.wait("the camera is refused") {
                    alice.requestResponses.contains { $0.reason == .notAllowed }
                }
            }
        }

        @Test(
            "who receives as much as it may gets the next track when another ends; sound has places of its own",
            arguments: SimulatedPeer.Generation.allCases)
        func full(generation: SimulatedPeer.Generation) async throws {
            let configure: (inout FocusConfiguration) -> Void = { configuration in
                configuration.limits.reception = .init(tracks: 4, videos: 3)
                configuration.limits.receptionByOneConnection = .init(tracks: 4, videos: 3)
            }
            try await SimulatedCall.run(configure: configure) { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob", generation)
                var videos: [SimulatedTrack] = []
                for index in 0..<3 {
                    videos.append(try call.publish("cam\(index)", isVideo: true, by: alice, to: [bob]))
                }
                let waiting = try call.publish("late", isVideo: true, by: alice, to: [])
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                #expect(bob.incoming[waiting.sid] == nil)
                bob.subscribe(to: [waiting.sid])
                try call.wait("bob is told") { bob.subscriptionResponses.count == 1 }
                #expect(bob.subscriptionResponses.first?.trackSid == waiting.sid)
                #expect(call.focus.signalRefusals[.receptionFull] == 1)

                alice.unpublish(videos[0])
                try call.wait("bob gets the one that waited") { bob.incoming[waiting.sid] != nil }
                #expect(bob.incoming[audio.sid] != nil)
                #expect(!bob.socket.isClosed)
            }
        }

        @Test("of a request that names thousands of tracks the first are looked at")
        func endlessRequest() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                bob.subscribe(to: [audio.sid] + (1...5_000).map { "TR_\($0)" }, false)
                try call.wait("the first is heeded") { bob.incoming[audio.sid] == nil }
                #expect(call.focus.signalRefusals[.requestTooLong] == 1)
            }
        }
    }
}
