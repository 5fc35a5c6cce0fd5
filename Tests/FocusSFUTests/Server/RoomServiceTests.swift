// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import SwiftProtobuf
import Testing

@testable import FocusSFU

extension CallTests {
    @Suite("The server API")
    struct RoomServiceTests {
        @Test("a room that is there keeps what a request does not mention, and everybody hears of the rest")
        func createRoomAgain() async throws {
            try await SimulatedCall.run { call in
                let administrator = try SimulatedCall.administrator()
                let first = try call.post(
                    "CreateRoom", #"{"name":"room","emptyTimeout":33,"departureTimeout":44,"metadata":"a"}"#,
                    token: administrator)
                #expect(first.status == 200)
                let alice = try call.join("alice")
                let again = try call.post(
                    "CreateRoom", #"{"name":"room","maxParticipants":7,"metadata":"b"}"#, token: administrator)
                let room = try LiveKitRoom(jsonUTF8Bytes: again.body)
                #expect(room.sid == alice.join?.room.sid)
                #expect([room.emptyTimeout, room.departureTimeout, room.maxParticipants] == [33, 44, 7])
                #expect(room.metadata == "b")
                try call.wait("alice hears of it") {
                    alice.responses.contains {
                        if case .roomUpdate(let update) = $0 { update.room.metadata == "b" } else { false }
                    }
                }
            }
        }

        @Test("calls are refused as LiveKit's server refuses them")
        func refusals() async throws {
            try await SimulatedCall.run { call in
                let administrator = try SimulatedCall.administrator()
                let participant = try SimulatedCall.token("alice")
                let mover = try SimulatedCall.token("") { claims in
                    claims.video?.roomAdmin = true
                    claims.video?.destinationRoom = "room"
                }
                let move = #"{"room":"room","identity":"bob","destinationRoom":"room"}"#
                let cases: [(String, String, String?, Int, String)] = [
                    ("ListRooms", "{}", nil, 401, #""code":"unauthenticated""#),
                    ("ListRooms", "{}", "nonsense", 401, "invalid authorization token"),
                    ("CreateRoom", #"{"name":"x","roomPreset":"large"}"#, administrator, 400, "invalid_argument"),
                    ("livekit.Egress/ListEgress", "{}", nil, 401, "unauthenticated"),
                    ("livekit.Egress/ListEgress", "{}", participant, 401, "unauthenticated"),
                    ("livekit.Egress/ListEgress", "{}", administrator, 500, "egress not connected (redis required)"),
                    ("livekit.Ingress/ListIngress", "{}", administrator, 501, "unimplemented"),
                    ("MoveParticipant", move, participant, 401, "unauthenticated"),
                    ("MoveParticipant", move, administrator, 401, "unauthenticated"),
                    ("MoveParticipant", move, mover, 400, "destination room cannot be the same as source room"),
                    ("ForwardParticipant", move, mover, 400, "destination room cannot be the same as source room"),
                    ("PerformRpc", #"{"room":"room"}"#, participant, 401, "unauthenticated"),
                    ("PerformRpc", #"{"room":"room"}"#, administrator, 400, "destination identity is required"),
                ]
                for (method, body, token, status, text) in cases {
                    let response = try call.post(method, body, token: token)
                    #expect(response.status == status, "\(method)")
                    #expect(response.text.contains(text), "\(method): \(response.text)")
                }
            }
        }

        @Test("a message with a nonce is delivered once")
        func nonce() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                try call.wait("the channel is open") { alice.downstream.channelIDs["_reliable"] != nil }
                let administrator = try SimulatedCall.administrator()
                for (data, nonce) in [("MQ==", "A"), ("MQ==", "A"), ("Mg==", "B")] {
                    let nonce = String(repeating: nonce, count: 21) + "A=="
                    let response = try call.post(
                        "SendData", #"{"room":"room","data":"\#(data)","nonce":"\#(nonce)"}"#, token: administrator)
                    #expect(response.status == 200)
                }
                func payloads() -> [[UInt8]] {
                    alice.downstream.messages.compactMap { message in
                        (try? LiveKitDataPacket(serializedBytes: message.bytes)).map { Array($0.user.payload) }
                    }
                }
                try call.wait("the last one arrives") { payloads().last == Array("2".utf8) }
                #expect(payloads() == [Array("1".utf8), Array("2".utf8)])
            }
        }

        @Test("who is removed comes back by a new token of the same second, not by those it had")
        func removal() async throws {
            try await SimulatedCall.run { call in
                let administrator = try SimulatedCall.administrator()
                let request = #"{"room":"room","identity":"alice"}"#
                let now = UnixClock.seconds()
                // Nobody to remove: nothing is revoked.
                #expect(try call.post("RemoveParticipant", request, token: administrator).status == 404)
                let alice = try call.join("alice", claims: { $0.issuedAt = now + 5 })
                let refreshed = alice.refreshToken
                #expect(try call.post("RemoveParticipant", request, token: administrator).status == 200)
                try call.wait("alice is out") { alice.leave?.reason == .participantRemoved }
                for token in [alice.token, refreshed] {
                    let client = try RawHTTPClient(port: call.port)
                    client.send(HTTPTestServer.get("/rtc/validate?access_token=\(token)"))
                    #expect(try client.readResponse().status == 401)
                }
                let seconds = UnixClock.seconds()
                _ = try call.join(
                    "alice",
                    claims: {
                        $0.issuedAt = seconds
                        $0.metadata = "another token"
                    })
            }
        }

        @Test("nobody is locked out by a removal without an identity")
        func removalOfNobody() async throws {
            try await SimulatedCall.run { call in
                _ = try call.join("alice")
                let administrator = try SimulatedCall.administrator()
                let response = try call.post("RemoveParticipant", #"{"room":"room"}"#, token: administrator)
                #expect(response.status == 404)
                #expect(call.ask { await $0.directory.removeParticipant(identity: "", room: "room") } == false)
                let list = try call.post("ListParticipants", #"{"room":"room"}"#, token: administrator)
                #expect(list.status == 200)
                #expect(list.text.contains("alice"))
            }
        }
    }
}
