// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

@Suite("Media keys as we write them")
struct CallKeyDeployedTests {
    private func content(index: UInt8 = 0, bytes: [UInt8]) throws -> JSONValue {
        .object(
            CallKeyContent.deployedContent(
                roomID: try #require(RoomID("!room:hs")), memberID: "@user:hs:DEVICE",
                device: try #require(DeviceID("DEVICE")), key: try MediaKey(index: index, bytes: bytes),
                sentAt: 1_790_000_000_000))
    }

    @Test("the deployed shape, member by member")
    func shape() throws {
        #expect(try content(bytes: Array(0...15)) == EventSamples.json(EventSamples.toDeviceKey))
    }

    @Test("what we write we can read, whatever the length", arguments: 16...64)
    func readBack(byteCount: Int) throws {
        let bytes = (0..<byteCount).map { UInt8($0) }
        let content = try content(index: UInt8(byteCount), bytes: bytes)
        let key = try CallKeyContent.decode(type: CallKeyContent.deployedEventType, content: content).get()
        #expect(key.key.index == UInt8(byteCount) && key.key.bytes == bytes)
        #expect(key.memberID == "@user:hs:DEVICE" && key.claimedDeviceID?.rawValue == "DEVICE")
        #expect((content["keys"]?["key"]?.string?.utf8.count ?? 1) % 4 == 0)
    }
}
