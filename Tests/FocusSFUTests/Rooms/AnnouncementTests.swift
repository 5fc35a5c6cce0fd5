// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

extension CallTests {
    @Suite("What is told to whom")
    struct Announcements {
        private static func updates(_ peer: SimulatedPeer) -> [LiveKitParticipantUpdate] {
            peer.responses.compactMap { if case .update(let update) = $0 { update } else { nil } }
        }

        @Test("who left while a client had no socket is told first when it is back, unless it is there again")
        func leaversWhileAway() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let others = try ["bob", "carol"].map { try call.join($0) }
                alice.socket.abandon()
                try call.wait("the loss is noticed") {
                    call.inRoom { $0.participants["alice"]?.signal == nil } == true
                }
                for peer in others { peer.send(.leave(LiveKitLeaveRequest())) }
                try call.wait("both are gone") { call.inRoom { $0.order.count } == 1 }
                let carol = try call.join("carol")
                alice.forgetResponses()
                try alice.resume(port: call.port, token: alice.refreshToken)
                try call.wait("alice has the picture") { !Self.updates(alice).isEmpty }
                let told = Self.updates(alice)[0].participants
                #expect(told.map(\.identity) == ["bob", "carol", "alice"])
                #expect(told.map { $0.state == .disconnected } == [true, false, false])
                #expect(told[0].disconnectReason == .clientInitiated)
                #expect(told[1].sid == carol.join?.participant.sid)
            }
        }

        @Test("everybody is told of its own connection and of those it receives from, once while nothing changes")
        func quality() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let carol = try call.join("carol", .two, autoSubscribe: false)
                _ = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                let sids = [alice, bob, carol].map { $0.join?.participant.sid ?? "" }
                func told(_ peer: SimulatedPeer) -> Set<String> {
                    Set(peer.qualityUpdates.flatMap(\.updates).map(\.participantSid))
                }
                try call.wait("all are told") {
                    told(alice) == [sids[0]] && told(bob) == [sids[0], sids[1]] && told(carol) == [sids[2]]
                }
                #expect(bob.qualityUpdates.flatMap(\.updates).allSatisfy { $0.quality == .excellent && $0.score > 4 })
                carol.forgetResponses()
                let dave = try call.join("dave")
                try call.wait("the newcomer is told") { !told(dave).isEmpty }
                #expect(told(carol).isEmpty)
            }
        }

        @Test("loss on the way up counts for the publisher's quality")
        func uplinkLoss() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                let sid = alice.join?.participant.sid
                var number = 0
                try call.wait(
                    "bob is told",
                    sending: {
                        number += 1
                        audio.send([1], isLost: number % 3 == 0)
                    }
                ) {
                    bob.qualityUpdates.flatMap(\.updates).contains {
                        $0.participantSid == sid && $0.quality != .excellent
                    }
                }
            }
        }

        @Test("only those hear who speaks who receive something of it, and they hear it when they begin to")
        func speakers() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let carol = try call.join("carol", .two, autoSubscribe: false)
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                let sid = alice.join?.participant.sid ?? ""
                func speak() { audio.send([1], level: 0x80 | 10) }
                try call.wait("alice and bob hear it", sending: speak) {
                    [alice, bob].allSatisfy { $0.speeches.contains { $0 == (sid, true) } }
                }
                try call.settle([carol])
                #expect(carol.speeches.isEmpty)
                carol.subscribe(to: [audio.sid])
                try call.wait("carol hears it", sending: speak) {
                    carol.speeches.first.map { $0 == (sid, true) } ?? false
                }
                carol.subscribe(to: [audio.sid], false)
                try call.wait("and then no more", sending: speak) {
                    carol.speeches.last.map { $0 == (sid, false) } ?? false
                }
            }
        }

        @Test("a hidden participant's tracks are for nobody")
        func hiddenPublisher() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let ghost = try call.join("ghost") { $0.video?.hidden = true }
                let audio = try call.publish("mic", isVideo: false, by: ghost, to: [])
                alice.subscribe(to: [audio.sid])
                try call.settle([ghost, alice])
                #expect(alice.participant("ghost") == nil)
                #expect(call.inRoom { $0.participants["alice"]?.subscriptions.downTracks.count } == 0)
            }
        }

        @Test("who goes out of sight is gone for the others, and comes back with its tracks")
        func visibility() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let audio = try call.publish("mic", isVideo: false, by: bob, to: [alice])
                let administrator = try SimulatedCall.administrator()
                func hide(_ hidden: Bool) throws {
                    let response = try call.post(
                        "UpdateParticipant",
                        #"{"room":"room","identity":"bob","permission":{"canPublish":true,"canSubscribe":true,"#
                            + #""canPublishData":true,"hidden":\#(hidden)}}"#, token: administrator)
                    #expect(response.status == 200)
                }
                try hide(true)
                try call.wait("alice sees bob go") {
                    alice.participant("bob") == nil && alice.incoming[audio.sid] == nil
                }
                #expect(bob.leave == nil)
                try hide(false)
                try call.wait("alice sees bob again, and hears him", sending: { audio.send([1]) }) {
                    alice.participant("bob")?.tracks.map(\.sid) == [audio.sid] && !alice.media(of: audio.sid).isEmpty
                }
            }
        }
    }
}
