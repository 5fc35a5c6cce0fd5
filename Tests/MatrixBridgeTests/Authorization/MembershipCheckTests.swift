// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import MatrixBridge
import Testing

@Suite("What the homeserver says about a room")
struct MembershipCheckTests {
    private static let room = Identifier.room("!room:example.com")
    private static let alice = Identifier.user("@alice:example.com")

    let homeserver = FakeHomeserver()

    private func facts() async throws -> RoomFacts? {
        let client = MatrixClient(
            transport: homeserver, baseURL: FakeHomeserver.localBaseURL, asToken: FakeHomeserver.asToken)
        return try await MembershipCheck(client: client, bot: FakeHomeserver.bot, delegate: nil)
            .facts(of: Self.room, for: Self.alice)
    }

    private func state(_ type: String, _ answer: JSONValue) async {
        await homeserver.answer("/state/\(type)", with: .success(.json(answer)))
    }

    private static let levels = JSONValue.object([
        "users": .object([alice.rawValue: .integer(50)]), "state_default": .integer(50),
    ])

    private static func event(_ type: String, _ content: JSONValue) -> JSONValue {
        .object([
            "type": .string(type), "sender": .string("@creator:example.com"), "room_id": .string(room.rawValue),
            "event_id": .string("$event"), "state_key": .string(""), "origin_server_ts": .integer(1),
            "content": content,
        ])
    }

    @Test("whole events are read, and so is content alone", arguments: [true, false])
    func forms(isWhole: Bool) async throws {
        let creation = JSONValue.object(["room_version": .string("10"), "creator": .string("@creator:example.com")])
        for (type, content) in [("m.room.create", creation), ("m.room.power_levels", Self.levels)] {
            await state(type, isWhole ? Self.event(type, content) : content)
        }
        await homeserver.answer("/state/m.room", with: .success(.error(404, "M_NOT_FOUND")))
        let facts = try #require(try await facts())
        #expect(facts.authority.level(of: Self.alice) == .value(50))
        #expect(facts.authority.creation?.creators == [Identifier.user("@creator:example.com")])
        #expect(!facts.isEncrypted)
    }

    @Test("without the creation nobody may look: an empty answer says nothing about levels")
    func withoutCreation() async throws {
        await homeserver.answer("/state/m.room", with: .success(.error(404, "M_NOT_FOUND")))
        #expect(try await facts() == nil)
    }

    @Test("a creation whose sender is not known is none, because the sender may stand above all")
    func unknownCreator() async throws {
        await state("m.room.create", .object(["room_version": .string("12")]))
        await state("m.room.power_levels", Self.levels)
        await homeserver.answer("/state/m.room", with: .success(.error(404, "M_NOT_FOUND")))
        #expect(try await facts() == nil)
    }
}
