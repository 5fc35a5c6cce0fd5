// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

extension CallTests {
    @Suite("Pictures while a client offers one of its own")
    struct HeldPictures {
        /// From now on only an offer ends the hold, however slow this machine is. False when there is none.
        private static func prolong(_ call: SimulatedCall) -> Bool {
            call.inRoom { room in
                guard let bob = room.participants["bob"], bob.holdsPictures else { return false }
                bob.heldPictures?.until = room.plane.now.advanced(byMilliseconds: 1_000_000)
                return true
            } ?? false
        }

        /// How many pictures reach bob while ten sounds do.
        private static func pictures(
            to bob: SimulatedPeer, of video: SimulatedTrack, beside audio: SimulatedTrack, in call: SimulatedCall
        ) throws -> Int {
            // What was sent before a sound has come when that has.
            func waitForSounds(_ count: Int) throws {
                let heard = bob.media(of: audio.sid).count
                try call.wait(
                    "sound arrives",
                    sending: {
                        video.send(SimulatedTrack.keyFrame)
                        audio.send([7])
                    }
                ) { bob.media(of: audio.sid).count >= heard + count }
            }
            try waitForSounds(1)
            let seen = bob.media(of: video.sid).count
            try waitForSounds(10)
            return bob.media(of: video.sid).count - seen
        }

        @Test(
            "clients on the Rust core get none between AddTrack and offer, and all the sound",
            arguments: [(LiveKitClientInfo.SDK.python, true), (.js, false)])
        func own(sdk: LiveKitClientInfo.SDK, isHeld: Bool) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob", sdk: sdk)
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                let video = try call.publish("cam", isVideo: true, by: alice, to: [bob])
                #expect(try Self.pictures(to: bob, of: video, beside: audio, in: call) > 0)
                bob.announce("own-microphone", isVideo: false)
                try call.settle([bob])
                #expect(try Self.pictures(to: bob, of: video, beside: audio, in: call) > 0)
                bob.announce("own-camera", isVideo: true)
                try call.settle([bob])
                #expect(Self.prolong(call) == isHeld)
                let whileOffering = try Self.pictures(to: bob, of: video, beside: audio, in: call)
                #expect(isHeld ? whileOffering == 0 : whileOffering > 0)
                bob.publish("own-camera", isVideo: true, announces: false)
                let before = bob.media(of: video.sid).count
                try call.wait("pictures go on", sending: { video.send(SimulatedTrack.keyFrame) }) {
                    bob.media(of: video.sid).count >= before + 3
                }
                #expect(isContiguous(bob.media(of: video.sid).map(\.sequence)))
            }
        }

        @Test("an offer that does not come is not waited for")
        func withoutOffer() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob", sdk: .rust)
                let video = try call.publish("cam", isVideo: true, by: alice, to: [bob])
                bob.announce("own", isVideo: true)
                try call.settle([bob])
                try call.wait("pictures arrive", sending: { video.send(SimulatedTrack.keyFrame) }) {
                    bob.media(of: video.sid).count >= 3
                }
                #expect(isContiguous(bob.media(of: video.sid).map(\.sequence)))
            }
        }
    }
}
