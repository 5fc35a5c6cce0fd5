// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

extension CallTests {
    @Suite("Publish-only sessions are their identity's")
    struct PublishOnly {
        private static let listener = ParticipantRights(canPublish: false, canSubscribe: true, canPublishData: false)

        private static func enterBeside(_ call: SimulatedCall, _ suffix: String) throws -> SimulatedPeer {
            let peer = try call.enter("alice", .two, extraQuery: "&publish=\(suffix)")
            try call.wait("an answer to the join") { peer.join != nil || peer.leave != nil }
            return peer
        }

        @Test("a removal ends them all, and none comes back with a token from before")
        func removal() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let beside = try Self.enterBeside(call, "screen")
                #expect(beside.join?.participant.identity == "alice#screen")
                #expect(call.ask { await $0.directory.removeParticipant(identity: "alice", room: "room") } == true)
                try call.wait("both are told") {
                    alice.leave?.reason == .participantRemoved && beside.leave?.reason == .participantRemoved
                }
                #expect(throws: SignalSocket.Refused.self) { _ = try Self.enterBeside(call, "other") }
                // The token it was given meanwhile names the identity that was removed.
                let verifier = AccessTokenVerifier(keys: APIKeySet(keys: [SimulatedCall.key]))
                let renewed = try verifier.verify(beside.refreshToken, now: UnixClock.seconds())
                #expect(renewed.identity == "alice")
            }
        }

        @Test("rights that are taken are taken from all of them, and from one that comes later")
        func rights() async throws {
            try await SimulatedCall.run { call in
                let bob = try call.join("bob")
                let beside = try Self.enterBeside(call, "screen")
                #expect(
                    call.ask {
                        await $0.directory.setRights(Self.listener, ofIdentity: "alice", inRoom: "room")
                    } == true)
                try call.wait("bob knows") { bob.participant("alice#screen")?.permission.canPublish == false }
                #expect(beside.leave == nil)
                let later = try Self.enterBeside(call, "other")
                #expect(later.join?.participant.permission.canPublish == false)
                // They receive nothing, whatever the rights of the identity.
                #expect(later.join?.participant.permission.canSubscribe == false)
                #expect(bob.participant("alice#screen")?.permission.canSubscribe == false)
            }
        }

        @Test("muting everything of an identity mutes them")
        func mute() async throws {
            try await SimulatedCall.run { call in
                let bob = try call.join("bob")
                let beside = try Self.enterBeside(call, "screen")
                let track = try call.publish("mic", isVideo: false, by: beside, to: [bob])
                #expect(call.ask { await $0.directory.muteAll(ofIdentity: "alice", inRoom: "room") } == 1)
                try call.wait("bob knows") { bob.participant("alice#screen")?.tracks.first?.muted == true }
                #expect(bob.participant("alice#screen")?.tracks.first?.sid == track.sid)
            }
        }

        @Test("an identity has only so many, each of which may take its own place again")
        func bounded() async throws {
            try await SimulatedCall.run { call in
                for number in 0..<Room.maximumPublishOnlySessions {
                    let beside = try Self.enterBeside(call, "\(number)")
                    #expect(beside.join != nil)
                }
                let more = try Self.enterBeside(call, "more")
                #expect(more.leave?.reason == .joinFailure)
                #expect(call.focus.signalRefusals[.tooManySessions] == 1)
                let again = try Self.enterBeside(call, "0")
                #expect(again.join != nil)
                _ = try call.join("alice")
            }
        }
    }
}
