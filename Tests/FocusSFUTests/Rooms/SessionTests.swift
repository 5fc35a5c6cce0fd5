// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import SwiftProtobuf
import Testing

@testable import FocusSFU

extension CallTests {
    @Suite("Sessions")
    struct Sessions {
        private static func contains(_ peer: SimulatedPeer, _ match: (LiveKitSignalResponse.OneOf_Message) -> Bool)
            -> Bool
        {
            peer.responses.contains(where: match)
        }

        @Test("the join response says what clients rely on", arguments: SimulatedPeer.Generation.allCases)
        func join(generation: SimulatedPeer.Generation) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", generation)
                let join = try #require(alice.join)
                guard case .join = alice.responses.first else {
                    Issue.record("the first message is not the join response")
                    return
                }
                #expect(join.room.name == "room")
                #expect(join.room.sid.hasPrefix("RM_"))
                #expect(join.participant.identity == "alice")
                #expect(join.participant.name == "ALICE")
                #expect(join.participant.sid.hasPrefix("PA_"))
                #expect(join.otherParticipants.isEmpty)
                #expect(join.subscriberPrimary == (generation == .two))
                #expect(join.pingInterval > 0 && join.pingTimeout > join.pingInterval)
                #expect(join.iceServers.map(\.urls) == [["stun:stun.example.com"]])
                #expect(join.sifTrailer.count > 0)
                let bob = try call.join("bob", generation)
                #expect(bob.join?.otherParticipants.map(\.identity) == ["alice"])
                #expect(!alice.refreshToken.isEmpty)
            }
        }

        @Test("of several changes at once the others hear in one message, and each participant of its own at once")
        func announcements() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let others = try ["bob", "carol", "dave"].map { try call.join($0) }
                // News of a join that came later would count as news of the change.
                try call.wait("all know the others as active") {
                    ([alice] + others).allSatisfy { peer in
                        ["alice", "bob", "carol", "dave"].allSatisfy {
                            peer.join?.participant.identity == $0 || peer.participant($0)?.state == .active
                        }
                    }
                }
                alice.forgetResponses()
                for peer in others { peer.forgetResponses() }
                let worker = call.worker
                Task {
                    try await worker.administer(room: "room") { room in
                        for participant in room.order.dropFirst() {
                            participant.metadata = "changed"
                            room.participantChanged(participant)
                        }
                    }
                }
                func updates(of peer: SimulatedPeer) -> [[String]] {
                    peer.responses.compactMap {
                        if case .update(let update) = $0 { update.participants.map(\.identity) } else { nil }
                    }
                }
                try call.wait("everybody has heard") {
                    !updates(of: alice).isEmpty && others.allSatisfy { updates(of: $0).count == 2 }
                }
                #expect(updates(of: alice) == [["bob", "carol", "dave"]])
                #expect(updates(of: others[0]) == [["bob"], ["carol", "dave"]])
                #expect(updates(of: others[1]) == [["carol"], ["bob", "dave"]])
            }
        }

        @Test("a session resumes on a new socket, and media never stops", arguments: SimulatedPeer.Generation.allCases)
        func resume(generation: SimulatedPeer.Generation) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", generation)
                let bob = try call.join("bob", generation)
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                try call.wait("sound arrives", sending: { audio.send([1]) }) { bob.media(of: audio.sid).count >= 3 }
                let before = bob.subscriber?.remoteUsernameFragment
                bob.socket.abandon()
                try call.wait("sound goes on", sending: { audio.send([2]) }) {
                    bob.media(of: audio.sid).count { $0.payload == [2] } >= 5
                }
                #expect(alice.participant("bob") != nil)
                bob.forgetResponses()
                try bob.resume(port: call.port, token: bob.refreshToken)
                try call.wait("the session is back") {
                    Self.contains(bob) { if case .roomUpdate = $0 { true } else { false } }
                }
                guard case .reconnect? = bob.responses.first else {
                    Issue.record("the first message is \(String(describing: bob.responses.first))")
                    return
                }
                if generation == .two {
                    try call.wait("the path is renewed") {
                        bob.subscriber?.remoteUsernameFragment != before && bob.subscriber?.isPathConfirmed == true
                    }
                }
                try call.wait("sound goes on", sending: { audio.send([3]) }) {
                    bob.media(of: audio.sid).count { $0.payload == [3] } >= 5
                }
                #expect(isContiguous(bob.media(of: audio.sid).map(\.sequence)))
                // The new socket is the one that counts.
                var mute = LiveKitMuteTrackRequest()
                mute.sid = audio.sid
                mute.muted = true
                alice.send(.mute(mute))
                try call.wait("bob is told on it") { bob.participant("alice")?.tracks.first?.muted == true }
            }
        }

        @Test("a resume of an unknown session leads to a full reconnect")
        func unknownResume() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", .two)
                let bob = try call.enter("bob", .two, extraQuery: "&reconnect=1&sid=PA_unknown")
                try call.wait("bob is told") { bob.leave?.action == .reconnect && bob.leave?.reason == .stateMismatch }
                try call.wait("and cut off") { bob.socket.isClosed }
                #expect(alice.participant("bob") == nil)
            }
        }

        @Test("a second session of an identity replaces the first", arguments: SimulatedPeer.Generation.allCases)
        func duplicate(generation: SimulatedPeer.Generation) async throws {
            try await SimulatedCall.run { call in
                let watcher = try call.join("watcher", generation)
                let first = try call.join("alice", generation)
                let firstSID = first.join?.participant.sid
                let second = try call.join("alice", generation)
                try call.wait("the first is told and cut off") {
                    first.leave?.reason == .duplicateIdentity && first.leave?.action == .disconnect
                        && first.socket.isClosed
                        && first.downstream.isClosedByPeer
                }
                #expect(second.join?.participant.sid != firstSID)
                try call.wait("the watcher knows the second") {
                    watcher.participants[second.join?.participant.sid ?? ""]?.state == .active
                }
                let audio = try call.publish("mic", isVideo: false, by: second, to: [watcher])
                try call.wait("sound of the second arrives", sending: { audio.send([1]) }) {
                    !watcher.media(of: audio.sid).isEmpty
                }
            }
        }

        @Test("a kick ends the session at once", arguments: SimulatedPeer.Generation.allCases)
        func kick(generation: SimulatedPeer.Generation) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", generation)
                let bob = try call.join("bob", generation)
                #expect(call.ask { await $0.directory.removeParticipant(identity: "bob", room: "room") } == true)
                #expect(call.ask { await $0.directory.removeParticipant(identity: "bob", room: "room") } == false)
                try call.wait("bob is told and cut off") {
                    bob.leave?.reason == .participantRemoved && bob.leave?.action == .disconnect && bob.socket.isClosed
                        && bob.downstream.isClosedByPeer
                }
                try call.wait("alice learns of it") { alice.participant("bob") == nil }
            }
        }

        @Test("a leave is told to the others with its reason", arguments: SimulatedPeer.Generation.allCases)
        func leave(generation: SimulatedPeer.Generation) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", generation)
                let bob = try call.join("bob", generation)
                let sid = bob.join?.participant.sid ?? ""
                bob.send(.leave(LiveKitLeaveRequest()))
                try call.wait("alice learns of it") {
                    alice.participants[sid]?.state == .disconnected
                        && alice.participants[sid]?.disconnectReason == .clientInitiated
                }
            }
        }

        @Test("a client that closes its connection without a word is asked to reconnect")
        func closedTransport() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                bob.downstream.closeDTLS()
                try call.wait("bob is told") { bob.leave?.action == .reconnect }
                try call.wait("alice learns of it") { alice.participant("bob") == nil }
            }
        }

        @Test("a close that shares its datagram with data is heard")
        func closeBehindData() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                try call.wait("the channel is open") { bob.publisher.channelIDs["_reliable"] != nil }
                bob.publisher.holdsRecords = true
                #expect(bob.publisher.send([1, 2, 3], label: "_reliable") == .queued)
                bob.publisher.closeDTLS()
                bob.publisher.releaseHeld()
                try call.wait("alice learns of it", seconds: 8) { alice.participant("bob") == nil }
            }
        }

        @Test("a client whose socket and connection both end is gone")
        func closedBoth() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                bob.socket.abandon()
                bob.downstream.closeDTLS()
                try call.wait("alice learns of it") { alice.participant("bob") == nil }
                // Only a client that says so has left by itself.
                #expect(alice.participants[bob.join?.participant.sid ?? ""]?.disconnectReason == .connectionTimeout)
            }
        }

        @Test("a session may end in the middle of a read batch that carries its media")
        func endsWithinBatch() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                let audio = try call.publish("mic", isVideo: false, by: bob, to: [alice])
                try call.wait("sound arrives", sending: { audio.send([1]) }) { !alice.media(of: audio.sid).isEmpty }
                // Without its socket nothing but the batch itself holds the session.
                bob.socket.abandon()
                try call.wait("the socket's end is noticed") {
                    call.ask { focus in
                        (try? await focus.directory.workers[0].administer(room: "room") { room in
                            room.participants["bob"]?.signal == nil
                        }) ?? false
                    } == true
                }
                call.holdingWorker {
                    for _ in 0..<5 { audio.send([2]) }
                    bob.downstream.closeDTLS()
                    for _ in 0..<5 { audio.send([3]) }
                }
                try call.wait("alice learns of it") { alice.participant("bob") == nil }
                let carol = try call.join("carol")
                let next = try call.publish("mic", isVideo: false, by: carol, to: [alice])
                try call.wait("the call goes on", sending: { next.send([4]) }) { !alice.media(of: next.sid).isEmpty }
            }
        }

        @Test("a room ends when it has been empty for long enough, and its name is free again")
        func expiry() async throws {
            try await SimulatedCall.run(configure: { $0.departureTimeoutSeconds = 0 }) { call in
                let alice = try call.join("alice")
                let first = alice.join?.room.sid
                alice.send(.leave(LiveKitLeaveRequest()))
                try call.wait("the room is gone") { call.ask { await $0.directory.roomExists(named: "room") } == false }
                let again = try call.join("alice")
                #expect(again.join?.room.sid != first)
            }
        }

        @Test("a room ends when only those are left who serve the others")
        func dependents() async throws {
            try await SimulatedCall.run(configure: { $0.departureTimeoutSeconds = 0 }) { call in
                let alice = try call.join("alice")
                let agent = try call.join("agent", .two) {
                    $0.kind = "agent"
                    $0.kindDetails = ["cloud_agent", "of another kind"]
                }
                #expect(agent.join?.participant.kindDetails == [.cloudAgent])
                try call.wait("alice sees it") { alice.participant("agent")?.kind == .agent }
                alice.send(.leave(LiveKitLeaveRequest()))
                try call.wait("the agent is told") {
                    agent.leave?.reason == .roomClosed && agent.leave?.action == .disconnect && agent.socket.isClosed
                }
                try call.wait("the room is gone") { call.ask { await $0.directory.roomExists(named: "room") } == false }
            }
        }

        @Test("a room nobody enters ends too")
        func emptyRoom() async throws {
            try await SimulatedCall.run { call in
                let wishes = RoomSettings.Wishes(emptyTimeoutSeconds: 0)
                _ = call.ask { try? await $0.directory.createRoom(named: "lonely", wishes: wishes) }
                try call.wait("the room is gone") {
                    call.ask { await $0.directory.roomExists(named: "lonely") } == false
                }
            }
        }

        @Test("a deleted room says so to all")
        func deleted() async throws {
            try await SimulatedCall.run { call in
                let peers = [try call.join("alice"), try call.join("bob", .two)]
                #expect(call.ask { await $0.directory.deleteRoom(named: "room") } == true)
                try call.wait("all are told") {
                    peers.allSatisfy { $0.leave?.reason == .roomDeleted && $0.socket.isClosed }
                }
            }
        }

        @Test("beyond the limit of handshakes under way joins are refused, and the room is free for later ones")
        func tooManyPending() async throws {
            try await SimulatedCall.run(configure: { $0.limits.pendingHandshakes = 2 }) { call in
                let waiting = try (0..<2).map { index in
                    let peer = try call.enter("waiting-\(index)")
                    peer.publisher.isSilent = true
                    try call.wait("is in") { peer.join != nil }
                    return peer
                }
                let refused = try call.enter("late")
                try call.wait("is refused") { refused.leave?.reason == .joinFailure && refused.socket.isClosed }
                #expect(refused.join == nil)
                waiting[0].send(.leave(LiveKitLeaveRequest()))
                try call.wait("it has left") { waiting[0].socket.isClosed }
                _ = try call.join("later")
            }
        }

        @Test("a full room refuses others, but not a new session of one inside")
        func fullRoom() async throws {
            try await SimulatedCall.run(configure: { $0.maximumParticipants = 2 }) { call in
                _ = try call.join("alice")
                _ = try call.join("bob")
                #expect(throws: SignalSocket.Refused.self) { _ = try call.enter("carol") }
                _ = try call.join("bob")
            }
        }

        @Test("a hidden participant sees and is not seen")
        func hidden() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let ghost = try call.join("ghost") { $0.video?.hidden = true }
                let audio = try call.publish("mic", isVideo: false, by: alice, to: [ghost])
                try call.wait("the ghost hears", sending: { audio.send([1]) }) { !ghost.media(of: audio.sid).isEmpty }
                try call.settle([alice, ghost])
                #expect(alice.participant("ghost") == nil)
                let bob = try call.join("bob")
                #expect(bob.join?.otherParticipants.map(\.identity) == ["alice"])
            }
        }
    }
}
