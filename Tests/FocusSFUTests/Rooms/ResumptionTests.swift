// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

extension CallTests {
    @Suite("Tokens at a resumption")
    struct Resumption {
        private static func token(issuedAt: Int64, canPublish: Bool) throws -> String {
            try SimulatedCall.token("alice") {
                $0.issuedAt = issuedAt
                $0.video?.canPublish = canPublish
            }
        }

        @Test("a newer token takes what it no longer allows, and an older one does not bring it back")
        func rights() async throws {
            try await SimulatedCall.run { call in
                let now = UnixClock.seconds()
                let alice = try call.join("alice") { $0.issuedAt = now - 30 }
                let bob = try call.join("bob")
                _ = try call.publish("mic", isVideo: false, by: alice, to: [bob])
                alice.socket.abandon()
                try alice.resume(port: call.port, token: Self.token(issuedAt: now - 20, canPublish: false))
                try call.wait("bob knows") {
                    bob.participant("alice")?.permission.canPublish == false
                        && bob.participant("alice")?.tracks.isEmpty == true
                }
                alice.socket.abandon()
                alice.forgetResponses()
                try alice.resume(port: call.port, token: Self.token(issuedAt: now - 25, canPublish: true))
                try call.wait("the session is back") {
                    alice.responses.contains { if case .reconnect = $0 { true } else { false } }
                }
                try call.settle([alice, bob])
                #expect(bob.participant("alice")?.permission.canPublish == false)
                #expect(alice.leave == nil)
            }
        }

        @Test("a token from before a change by the server does not undo it")
        func change() async throws {
            try await SimulatedCall.run { call in
                let now = UnixClock.seconds()
                let alice = try call.join("alice") { $0.issuedAt = now - 30 }
                let bob = try call.join("bob")
                _ = call.ask { focus in
                    try? await focus.directory.worker(ofRoom: "room")?.administer(room: "room") {
                        room throws(RoomServiceError) in
                        var request = LiveKitUpdateParticipantRequest()
                        request.permission.canSubscribe = true
                        try room.participants["alice"]?.updateByServer(request, limits: FocusLimits())
                    }
                }
                try call.wait("bob knows") { bob.participant("alice")?.permission.canPublish == false }
                alice.socket.abandon()
                alice.forgetResponses()
                try alice.resume(port: call.port, token: Self.token(issuedAt: now - 10, canPublish: true))
                try call.wait("the session is back") {
                    alice.responses.contains { if case .reconnect = $0 { true } else { false } }
                }
                try call.settle([alice, bob])
                #expect(bob.participant("alice")?.permission.canPublish == false)
            }
        }
    }
}
