// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

extension CallTests {
    @Suite("Rights that change in a running call")
    struct Rights {
        private static let listener = ParticipantRights(canPublish: false, canSubscribe: true, canPublishData: false)
        private static let speaker = ParticipantRights(canPublish: true, canSubscribe: true, canPublishData: true)

        private static func set(_ rights: ParticipantRights, in call: SimulatedCall) -> Bool? {
            call.ask { await $0.directory.setRights(rights, ofIdentity: "alice", inRoom: "room") }
        }

        /// What the server told a client about the mutes of a track, in order.
        private static func mutes(_ peer: SimulatedPeer, _ sid: String) -> [Bool] {
            peer.responses.compactMap { response in
                guard case .mute(let mute) = response, mute.sid == sid else { return nil }
                return mute.muted
            }
        }

        @Test("without the right to publish nothing is forwarded, and with it the same track goes on")
        func silence() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let track = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                try call.wait("sound arrives", sending: { track.send([1]) }) { !bob.media(of: track.sid).isEmpty }

                #expect(Self.set(Self.listener, in: call) == true)
                try call.wait("alice is muted, and bob knows") {
                    Self.mutes(alice, track.sid) == [true]
                        && bob.participant("alice")?.permission.canPublish == false
                        && bob.participant("alice")?.tracks.first?.muted == true
                }
                // A client that goes on as if nothing had happened.
                var unmute = LiveKitMuteTrackRequest()
                unmute.sid = track.sid
                alice.send(.mute(unmute))
                try call.wait("unmuting is refused") { alice.requestResponses.contains { $0.reason == .notAllowed } }
                let before = bob.media(of: track.sid).count
                for _ in 0..<50 { track.send([2]) }
                try call.settle([alice, bob])
                #expect(bob.media(of: track.sid).count == before)
                #expect(bob.participant("alice")?.tracks.first?.muted == true)

                #expect(Self.set(Self.speaker, in: call) == true)
                try call.wait("alice is unmuted, and heard") { Self.mutes(alice, track.sid) == [true, false] }
                try call.wait("sound arrives again", sending: { track.send([3]) }) {
                    bob.media(of: track.sid).count > before
                }
                #expect(bob.participant("alice")?.tracks.map(\.sid) == [track.sid])
            }
        }

        @Test("what the client had muted itself stays muted when the right comes back")
        func ownMute() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let track = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                var mute = LiveKitMuteTrackRequest()
                mute.sid = track.sid
                mute.muted = true
                alice.send(.mute(mute))
                try call.wait("bob knows") { bob.participant("alice")?.tracks.first?.muted == true }
                #expect(Self.set(Self.listener, in: call) == true)
                #expect(Self.set(Self.speaker, in: call) == true)
                try call.wait("the right is back") { bob.participant("alice")?.permission.canPublish == true }
                #expect(Self.mutes(alice, track.sid) == [])
                #expect(bob.participant("alice")?.tracks.first?.muted == true)
            }
        }

        @Test("a join with a token from before has the rights as they are now")
        func joinWithOldToken() async throws {
            try await SimulatedCall.run { call in
                let bob = try call.join("bob")
                let old = UnixClock.seconds() - 10
                #expect(Self.set(Self.listener, in: call) == false)
                let alice = try call.join(
                    "alice",
                    claims: { claims in
                        claims.issuedAt = old
                        claims.notBefore = old
                    })
                #expect(alice.join?.participant.permission.canPublish == false)
                #expect(alice.join?.participant.permission.canPublishData == false)
                try call.wait("bob sees it") { bob.participant("alice")?.permission.canPublish == false }
            }
        }

        @Test("a participant that may not receive loses its subscriptions, and gets them back")
        func subscribing() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let track = try call.publish("mic", isVideo: false, by: bob, to: [alice])
                try call.wait("sound arrives", sending: { track.send([1]) }) { !alice.media(of: track.sid).isEmpty }
                var deaf = Self.speaker
                deaf.canSubscribe = false
                #expect(Self.set(deaf, in: call) == true)
                let before = alice.media(of: track.sid).count
                for _ in 0..<50 { track.send([2]) }
                try call.settle([alice, bob])
                #expect(alice.media(of: track.sid).count == before)
                #expect(call.ask { await $0.directory.presence(inRoom: "room").count } == 2)
            }
        }

        @Test("the connection that must stand stays the same when the right to receive goes and comes")
        func primaryConnection() async throws {
            try await SimulatedCall.run { call in
                _ = try call.join("alice", .two)
                for canSubscribe in [false, true] {
                    var rights = Self.speaker
                    rights.canSubscribe = canSubscribe
                    #expect(Self.set(rights, in: call) == true)
                    #expect(
                        call.inRoom { room in
                            room.participants["alice"].map { $0.primary === $0.subscriber } ?? false
                        } == true)
                }
            }
        }

        @Test("who chooses by itself gets back what it had chosen when it may receive again")
        func chosenTracks() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", .two, autoSubscribe: false)
                let bob = try call.join("bob")
                let track = try call.publish("mic", isVideo: false, by: bob, to: [])
                let other = try call.publish("other", isVideo: false, by: bob, to: [])
                alice.subscribe(to: [track.sid])
                try call.wait("it is there") { alice.incoming[track.sid] != nil }
                var deaf = Self.speaker
                deaf.canSubscribe = false
                #expect(Self.set(deaf, in: call) == true)
                try call.wait("it is gone") { alice.incoming[track.sid] == nil }
                #expect(Self.set(Self.speaker, in: call) == true)
                try call.wait("it is back", sending: { track.send([1]) }) { !alice.media(of: track.sid).isEmpty }
                #expect(alice.incoming[other.sid] == nil)
            }
        }

        @Test("an administrator of the past may administer no more")
        func administrator() async throws {
            try await SimulatedCall.run { call in
                _ = try call.join("alice")
                let directory = try #require(call.ask { $0.directory })
                var claims = TokenClaims()
                claims.identity = "alice"
                claims.issuedAt = UnixClock.seconds() - 10
                var grant = VideoGrant()
                grant.roomAdmin = true
                grant.room = "room"
                claims.video = grant
                #expect(directory.standing(claims, room: "room", identity: "alice").grant.roomAdmin)
                #expect(Self.set(Self.speaker, in: call) == true)
                #expect(!directory.standing(claims, room: "room", identity: "alice").grant.roomAdmin)
            }
        }
    }
}
