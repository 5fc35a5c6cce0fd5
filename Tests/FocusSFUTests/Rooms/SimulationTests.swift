// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

extension CallTests {
    @Suite("Faults that clients' test suites ask for")
    struct Simulations {
        private static func scenario(_ value: LiveKitSimulateScenario.OneOf_Scenario)
            -> LiveKitSignalRequest.OneOf_Message
        {
            var scenario = LiveKitSimulateScenario()
            scenario.scenario = value
            return .simulate(scenario)
        }

        @Test("a server that vanishes closes as no client takes for the end", arguments: [true, false])
        func vanished(isMigration: Bool) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                let bob = try call.join("bob")
                bob.send(Self.scenario(isMigration ? .migration(true) : .nodeFailure(true)))
                try call.wait("the socket ends") { bob.socket.isClosed }
                #expect(bob.socket.closeCode == 1011)
                #expect(bob.leave == nil)
                try call.wait("alice learns of it") { alice.participant("bob") == nil }
            }
        }

        @Test("the next resume fails as asked for, the one after it works", arguments: [true, false])
        func failingResume(sendsReconnect: Bool) async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                alice.send(
                    Self.scenario(
                        sendsReconnect ? .disconnectSignalOnResume(true) : .disconnectSignalOnResumeNoMessages(true)))
                try call.settle([alice])
                #expect(!alice.socket.isClosed)
                alice.socket.abandon()
                alice.forgetResponses()
                try alice.resume(port: call.port, token: alice.refreshToken)
                try call.wait("the new socket ends") { alice.socket.isClosed }
                #expect(alice.socket.closeCode == 1011)
                #expect(alice.responses.count == (sendsReconnect ? 1 : 0))
                try alice.resume(port: call.port, token: alice.refreshToken)
                try call.settle([alice])
                #expect(!alice.socket.isClosed)
            }
        }

        @Test("a simulated speech begins and ends")
        func speech() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                alice.send(Self.scenario(.speakerUpdate(1)))
                try call.wait("both are told") { alice.speeches.count == 2 }
                #expect(alice.speeches.map(\.isActive) == [true, false])
            }
        }

        @Test("while a simulated speech lasts, others are not begun")
        func speeches() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                for _ in 0..<50 { alice.send(Self.scenario(.speakerUpdate(1))) }
                try call.wait("it is over") { alice.speeches.last?.isActive == false }
                #expect(alice.speeches.map(\.isActive) == [true, false])
            }
        }
    }
}
