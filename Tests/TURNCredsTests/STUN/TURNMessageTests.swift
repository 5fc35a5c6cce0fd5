// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import TURNCreds

@Suite("STUN messages with TURN's methods")
struct TURNMessageTests {
    /// RFC 5769 §2.2.
    private static let response: [UInt8] = Self.bytes(
        """
        0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f722000200008
        0001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96
        """)
    /// RFC 5769 §2.4.
    private static let longTermRequest: [UInt8] = Self.bytes(
        """
        000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b90000
        0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b
        6578616d706c652e6f72670000080014f67024656dd64a3e02b8e0712e85c9a28ca89666
        """)

    private static func bytes(_ hexadecimal: String) -> [UInt8] {
        let digits = hexadecimal.compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
    }

    @Test("the response of RFC 5769: address, code and fingerprint")
    func sampleResponse() throws {
        let message = try TURNMessage(Self.response)
        #expect(message.messageClass == .success && message.method == .binding)
        #expect(message.address(.xorMappedAddress) == RelayAddress("192.0.2.1", port: 32_853))
        #expect(message.isProven(by: Array("VOkJxbRl1RmTxUk/WvJxBt".utf8)))
        #expect(!message.isProven(by: Array("another".utf8)))
    }

    @Test("the request with a long-term credential of RFC 5769")
    func sampleLongTerm() throws {
        let message = try TURNMessage(Self.longTermRequest)
        let realm = try #require(message[.realm])
        let key = try #require(
            STUNChecksum.longTermKey(username: "マトリックス", realm: realm, password: "TheMatrIX"))
        #expect(message.isProven(by: key))
        #expect(message[.nonce] == Array("f//499k954d6OL34oL9FSTvy64sA".utf8))
    }

    @Test("what is written is read back", arguments: ["203.0.113.9", "2001:db8::9"])
    func roundTrip(literal: String) throws {
        let peer = try #require(RelayAddress(literal, port: 4_242))
        var message = TURNMessage(.request, .createPermission, transactionID: .init(high: 7, low: .max))
        message.add(.xorPeerAddress, peer)
        message.add(.username, "odd".utf8)
        let bytes = message.encoded(key: [1, 2, 3])
        let again = try TURNMessage(bytes)
        #expect(again == message)
        #expect(again.address(.xorPeerAddress) == peer)
        #expect(again.isProven(by: [1, 2, 3]))
    }

    @Test("a changed byte is noticed wherever it is")
    func changed() throws {
        // A changed type of FINGERPRINT leaves a message without one, which is allowed.
        for index in Self.response.indices.dropLast(8) {
            var bytes = Self.response
            bytes[index] ^= 0x10
            let message = try? TURNMessage(bytes)
            #expect(message.map { $0.isProven(by: Array("VOkJxbRl1RmTxUk/WvJxBt".utf8)) } != true, "byte \(index)")
        }
    }

    @Test("cut, empty and foreign bytes are refused")
    func refused() {
        for count in 0..<Self.response.count {
            #expect(throws: TURNMessageFault.self) { try TURNMessage(Array(Self.response.prefix(count))) }
        }
        #expect(throws: TURNMessageFault.notSTUN) { try TURNMessage([UInt8](repeating: 0x80, count: 20)) }
    }

    @Test("an attribute that reaches beyond the message, and too many of them")
    func attributes() throws {
        var long = TURNMessage(.request, .allocate, transactionID: .init(high: 0, low: 0))
        long.add(.software, [1, 2, 3, 4])
        var bytes = long.encoded()
        bytes[23] = 200
        #expect(throws: TURNMessageFault.attributeLength) { try TURNMessage(bytes) }
        for _ in 0..<TURNMessage.attributeLimit { long.add(.software, [UInt8]()) }
        #expect(throws: TURNMessageFault.tooManyAttributes) { try TURNMessage(long.encoded()) }
    }

    @Test(
        "error numbers outside 300 to 699 are none",
        arguments: [[0, 0, 1, 0], [0, 0, 4, 200], [0, 0, 4], [0, 0, 7, 0]] as [[UInt8]])
    func errorNumbers(value: [UInt8]) {
        var message = TURNMessage(.error, .allocate, transactionID: .init(high: 0, low: 0))
        message.add(.errorCode, value)
        #expect(message.errorCode == nil)
    }

    @Test("a stream is cut into messages and channel data, however the pieces fall")
    func frames() throws {
        let data = TURNFrame.encoded(channel: 0x4001, payload: [9, 8, 7, 6, 5], isPadded: true)
        #expect(data.count % 4 == 0)
        let stream = Self.response + data + Self.response
        for size in [1, 3, 7, stream.count] {
            var reader = TURNFrameReader()
            var frames: [TURNFrame] = []
            for start in stride(from: 0, to: stream.count, by: size) {
                frames += reader.receive(Array(stream[start..<min(start + size, stream.count)]))
            }
            #expect(
                frames == [
                    .message(Self.response), .channelData(channel: 0x4001, payload: [9, 8, 7, 6, 5]),
                    .message(Self.response),
                ])
        }
        var reader = TURNFrameReader()
        #expect(reader.receive(Array("HTTP".utf8)).isEmpty)
        #expect(!reader.isBroken)
        #expect(reader.receive([UInt8](repeating: 0xFF, count: 70_000)).count <= 1)
        #expect(reader.isBroken)
    }
}
