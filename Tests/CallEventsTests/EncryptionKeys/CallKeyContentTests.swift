// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

@Suite("Media keys in to-device messages, MSC4143")
struct CallKeyContentTests {
    static let deployedType = CallKeyContent.deployedEventType

    @Test("the deployed shape")
    func deployed() throws {
        let content = try EventSamples.json(EventSamples.toDeviceKey)
        let key = try CallKeyContent.decode(type: Self.deployedType, content: content).get()
        #expect(key.shape == .deployed)
        #expect(key.roomID.rawValue == "!room:hs")
        #expect(key.memberID == "@user:hs:DEVICE")
        #expect(key.claimedDeviceID?.rawValue == "DEVICE")
        #expect(key.key.index == 0)
        #expect(key.key.bytes == Array(0...15))
        #expect(key.sentAt == 1_790_000_000_000)
    }

    @Test(
        "the settled shape under every type",
        arguments: [deployedType, "m.rtc.encryption_key", "org.matrix.msc4143.rtc.encryption_key"])
    func settled(_ type: String) throws {
        let content = try EventSamples.json(
            #"{"room_id":"!r","member_id":"uuid","media_key":{"index":255,"key":"AAECAwQFBgcICQoLDA0ODw"}}"#)
        let key = try CallKeyContent.decode(type: type, content: content).get()
        #expect(key.shape == .settled)
        #expect(key.memberID == "uuid")
        #expect(key.key.index == 255)
        #expect(key.key.bytes.count == 16)
    }

    @Test(
        "malformed keys are refused",
        arguments: [
            (#""room_id":"!room:hs","#, "", EventRefusal.invalidRoomID),
            (#""key":"AAECAwQFBgcICQoLDA0ODw==""#, #""nokey":1"#, .missingKey),
            (#"{"index":0,"key":"AAECAwQFBgcICQoLDA0ODw=="}"#, "[]", .missingKey),
            (#""index":0"#, #""index":"0""#, .invalidKeyIndex),
            (#""index":0"#, #""index":256"#, .invalidKeyIndex),
            (#""index":0"#, #""index":0.5"#, .invalidKeyIndex),
            (#","claimed_device_id":"DEVICE""#, "", .missingDeviceID),
            (#""id":"@user:hs:DEVICE","#, "", .missingMemberID),
            ("AAECAwQFBgcICQoLDA0ODw==", "AAECAwQFBgcICQoLDA0O", .invalidKeyLength),
            ("AAECAwQFBgcICQoLDA0ODw==", "AAECAwQFBgcICQoLDA0OD*==", .malformedKey),
            (#""call_id":"""#, #""call_id":"x""#, .callNotOfRoom),
            (#""application":"m.call""#, #""application":"x""#, .otherApplication),
        ])
    func refusals(_ original: String, _ replacement: String, _ refusal: EventRefusal) throws {
        let text = try RTCMembershipTests.changed(EventSamples.toDeviceKey, original, replacement)
        let content = try EventSamples.json(text)
        #expect(CallKeyContent.decode(type: Self.deployedType, content: content) == .failure(refusal))
    }

    @Test("another type carries no keys")
    func otherType() {
        #expect(CallKeyContent.decode(type: "m.room_key", content: .object([:])) == .failure(.notAKeyEvent))
        #expect(CallKeyContent.decode(type: Self.deployedType, content: .null) == .failure(.invalidContent))
    }

    @Test("a key does not print its bytes")
    func redacted() throws {
        let key = try MediaKey(index: 3, bytes: Array(repeating: 0xAB, count: 16))
        var dumped = ""
        dump(key, to: &dumped)
        for text in ["\(key)", String(reflecting: key), dumped] {
            #expect(!text.contains("171") && !text.lowercased().contains("ab,"))
        }
        #expect(throws: EventRefusal.invalidKeyLength) {
            try MediaKey(index: 0, bytes: Array(repeating: 0, count: 65))
        }
    }

    @Test(
        "RFC 4648 §10 vectors",
        arguments: [
            ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ])
    func base64(_ plain: String, _ encoded: String) {
        #expect(UnpaddedBase64.encode(Array(plain.utf8)) == encoded)
        #expect(UnpaddedBase64.decode(encoded) == Array(plain.utf8))
        let padding = String(repeating: "=", count: (4 - encoded.utf8.count % 4) % 4)
        #expect(UnpaddedBase64.decode(encoded + padding) == Array(plain.utf8))
    }

    @Test("what is no base64 is refused", arguments: ["A", "AAAAA", "AA=", "AA===", "====", "A-_A", "AA AA", "é"])
    func notBase64(_ text: String) {
        #expect(UnpaddedBase64.decode(text) == nil)
    }
}
