// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import MatrixBridge
import Testing

@Suite("Token requests, MSC4195 backend")
struct TokenRequestTests {
    static let openID: JSONValue = .object([
        "access_token": .string("secret"), "token_type": .string("Bearer"),
        "matrix_server_name": .string("example.com"), "expires_in": .integer(3_600),
    ])
    static let compatibility: JSONObject = [
        "room": .string("!room:example.com"), "openid_token": openID, "device_id": .string("DEVICE"),
    ]
    static let member: JSONObject = [
        "id": .string("memberABC"), "claimed_user_id": .string("@alice:example.com"),
        "claimed_device_id": .string("DEVICE"),
    ]
    static let slot: JSONObject = [
        "room_id": .string("!room:example.com"), "slot_id": .string("m.call#ROOM"), "openid_token": openID,
        "member": .object(member),
    ]

    static func compatibility(_ members: JSONObject) throws(TokenExchangeRefusal) -> TokenRequest {
        try TokenRequest.compatibility(JSONValue.object(members).compactJSON)
    }

    static func slot(_ members: JSONObject) throws(TokenExchangeRefusal) -> TokenRequest {
        try TokenRequest.slot(JSONValue.object(members).compactJSON)
    }

    @Test("both forms are read, unknown members ignored")
    func valid() throws {
        var members = Self.compatibility
        members["future"] = .array([.null])
        members["delay_cs_api_url"] = .string("https://elsewhere.test")
        let first = try Self.compatibility(members)
        #expect(first.form == .compatibility(device: Identifier.device("DEVICE")))
        #expect(first.openIDToken?.server == Identifier.server("example.com"))
        #expect(first.delegation == nil)
        let second = try Self.slot(Self.slot)
        #expect(
            second.form
                == .slot(
                    "m.call#ROOM", memberID: "memberABC", device: Identifier.device("DEVICE"),
                    claimedUser: Identifier.user("@alice:example.com")))
    }

    @Test("a flat member id is accepted beside and instead of the member object")
    func flatMember() throws {
        var members = Self.slot
        members["member_id"] = .string("flat")
        var member = Self.member
        member["id"] = nil
        members["member"] = .object(member)
        guard case .slot(_, "flat", _, .some) = try Self.slot(members).form else {
            Issue.record("the flat id was not used")
            return
        }
        members["member"] = nil
        members["device_id"] = .string("DEVICE")
        #expect(
            try Self.slot(members).form
                == .slot("m.call#ROOM", memberID: "flat", device: Identifier.device("DEVICE"), claimedUser: nil))
    }

    @Test("a missing, null or empty field is M_BAD_JSON", arguments: ["room", "openid_token", "device_id"])
    func missing(field: String) {
        for value: JSONValue? in [nil, .null] {
            var members = Self.compatibility
            members[field] = value
            #expect(throws: TokenExchangeRefusal.missingField(field)) { try Self.compatibility(members) }
        }
        #expect(TokenExchangeRefusal.missingField(field).matrixError.code == .badJSON)
        #expect(TokenExchangeRefusal.missingField(field).matrixError.status == 400)
    }

    @Test("a missing field of the slot form is M_BAD_JSON", arguments: ["room_id", "slot_id", "openid_token"])
    func missingInSlot(field: String) {
        var members = Self.slot
        members[field] = nil
        #expect(throws: TokenExchangeRefusal.missingField(field)) { try Self.slot(members) }
    }

    @Test("a missing field of the member is M_BAD_JSON", arguments: ["id", "claimed_user_id", "claimed_device_id"])
    func missingInMember(field: String) {
        for value: JSONValue? in [nil, .null, .string("")] {
            var member = Self.member
            member[field] = value
            var members = Self.slot
            members["member"] = .object(member)
            #expect(throws: TokenExchangeRefusal.missingField("member.\(field)")) { try Self.slot(members) }
        }
    }

    @Test("a wrong type is M_NOT_JSON", arguments: ["room", "openid_token", "device_id"])
    func wrongType(field: String) {
        for value: JSONValue in [.integer(1), .bool(true), .array([])] {
            var members = Self.compatibility
            members[field] = value
            #expect(throws: TokenExchangeRefusal.wrongType(field)) { try Self.compatibility(members) }
        }
        #expect(TokenExchangeRefusal.wrongType(field).matrixError.code == .notJSON)
    }

    @Test("identifiers that break their grammar are refused")
    func malformed() {
        var members = Self.compatibility
        members["room"] = .string("room:example.com")
        #expect(throws: TokenExchangeRefusal.malformedField("room")) { try Self.compatibility(members) }
        members = Self.compatibility
        members["openid_token"] = .object(["access_token": .string("t"), "matrix_server_name": .string("a/b")])
        #expect(throws: TokenExchangeRefusal.malformedField("openid_token.matrix_server_name")) {
            try Self.compatibility(members)
        }
    }

    @Test("F7: only one of the delay fields is refused, both are understood")
    func delayFields() throws {
        var members = Self.compatibility
        members["delay_id"] = .string("d")
        #expect(throws: TokenExchangeRefusal.missingField("delay_timeout")) { try Self.compatibility(members) }
        members["delay_timeout"] = .integer(8_000)
        #expect(try Self.compatibility(members).delegation != nil)
        members["delay_timeout"] = .integer(0)
        #expect(throws: TokenExchangeRefusal.malformedField("delay_timeout")) { try Self.compatibility(members) }
        members["delay_timeout"] = .string("8000")
        #expect(throws: TokenExchangeRefusal.wrongType("delay_timeout")) { try Self.compatibility(members) }
        members["delay_timeout"] = .integer(8_000)
        members["delay_id"] = nil
        #expect(throws: TokenExchangeRefusal.missingField("delay_id")) { try Self.compatibility(members) }
    }

    @Test("F8: a body cut anywhere is M_NOT_JSON, of either form")
    func truncated() {
        for (body, read) in [
            (JSONValue.object(Self.compatibility).compactJSON, TokenRequest.compatibility),
            (JSONValue.object(Self.slot).compactJSON, TokenRequest.slot),
        ] {
            for length in 0..<body.count {
                #expect(throws: TokenExchangeRefusal.notJSON) { _ = try read(Array(body[..<length])) }
            }
        }
    }

    @Test("a body with any one byte changed is read or refused, never trapped")
    func mutated() {
        let body = JSONValue.object(Self.slot).compactJSON
        for index in body.indices {
            for byte: UInt8 in [0, 0x20, 0x22, 0x5C, 0x7B, 0x80, 0xFF, body[index] ^ 1] {
                var changed = body
                changed[index] = byte
                _ = try? TokenRequest.slot(changed)
                _ = try? TokenRequest.compatibility(changed)
            }
        }
    }

    @Test("arrays, numbers and deep nesting are no request")
    func otherShapes() {
        for text in ["[]", "1", "null", "\"x\"", String(repeating: "{\"a\":", count: 100)] {
            #expect(throws: TokenExchangeRefusal.notJSON) { _ = try TokenRequest.compatibility(Array(text.utf8)) }
        }
    }
}
