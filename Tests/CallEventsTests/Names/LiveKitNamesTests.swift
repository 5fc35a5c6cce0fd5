// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

@Suite("LiveKit names, MSC4195")
struct LiveKitNamesTests {
    @Test("hash inputs are compact arrays")
    func inputs() throws {
        let room = try EventSamples.room("!room:example.com")
        let user = try EventSamples.user("@alice:example.com")
        let text = { (bytes: [UInt8]) in String(decoding: bytes, as: UTF8.self) }
        #expect(
            text(LiveKitNames.roomNameInput(roomID: room, slotID: "m.call#ROOM"))
                == #"["!room:example.com","m.call#ROOM"]"#)
        #expect(
            text(LiveKitNames.roomNameInput(roomID: room, slotID: "s", salt: "random123"))
                == #"["!room:example.com","s","random123"]"#)
        #expect(
            text(LiveKitNames.identityInput(user: user, device: "DEVICE123", memberID: "memberABC"))
                == #"["@alice:example.com","DEVICE123","memberABC"]"#)
        #expect(
            text(LiveKitNames.identityInput(sender: user, memberID: "memberABC"))
                == #"["@alice:example.com","memberABC"]"#)
    }

    @Test("slashes, ampersands and angle brackets are not escaped")
    func escaping() throws {
        let room = try EventSamples.room("!a/b&<c>\u{e9}")
        #expect(
            LiveKitNames.roomNameInput(roomID: room, slotID: "q\"\\") == Array(#"["!a/b&<c>é","q\"\\"]"#.utf8))
    }

    @Test("a digest becomes unpadded base64")
    func digest() throws {
        // SHA-256 of ["!room:example.com","m.call#ROOM"].
        let digest: [UInt8] = [
            0x92, 0xB8, 0xF6, 0x76, 0x0C, 0x70, 0xD8, 0xAE,
            0x84, 0x3A, 0x6F, 0x61, 0x7B, 0x81, 0x9F, 0x40,
            0x9E, 0x89, 0xB1, 0x25, 0x56, 0x7C, 0x9F, 0x1A,
            0xEC, 0x19, 0x32, 0x8D, 0x97, 0x12, 0x9B, 0x1B,
        ]
        #expect(LiveKitNames.name(digest: digest) == "krj2dgxw2K6EOm9he4GfQJ6JsSVWfJ8a7BkyjZcSmxs")
        let device = try #require(DeviceID("DEVICE123"))
        #expect(
            LiveKitNames.plainIdentity(user: try EventSamples.user("@alice:example.com"), device: device)
                == "@alice:example.com:DEVICE123")
    }
}
