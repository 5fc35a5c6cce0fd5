// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("STUN messages, RFC 8489 §5 and §14")
struct STUNMessageTests {
    static let transactionID = STUNMessage.TransactionID(high: 0xB7E7_A701, low: 0xBC34_D686_FA87_DFAE)
    static let key = Array(STUNVectors.password.utf8)

    @Test("the sample request, RFC 5769 §2.1")
    func sampleRequest() throws {
        try STUNVectors.request.withUnsafeBytes { bytes in
            let message = try STUNMessage(reading: bytes)
            #expect(message.messageClass == .request)
            #expect(message.method == STUNMessage.bindingMethod)
            #expect(message.transactionID == Self.transactionID)
            #expect(message.priority == 0x6E00_01FF)
            #expect(message.role == .controlled(0x932F_F9B1_5126_3B36))
            #expect(!message.usesCandidate)
            #expect(message.unknownAttributeCount == 0)
            let username = try #require(message.username)
            #expect(bytes[username].elementsEqual(STUNVectors.username.utf8))
            #expect(MessageIntegrity.isValid(bytes, at: try #require(message.integrityOffset), key: Self.key))
            #expect(STUNFingerprint.isValid(bytes, at: try #require(message.fingerprintOffset)))
        }
    }

    @Test(
        "the sample responses, RFC 5769 §2.2 and §2.3",
        arguments: [
            (STUNVectors.responseIPv4, "192.0.2.1"),
            (STUNVectors.responseIPv6, "2001:db8:1234:5678:11:2233:4455:6677"),
        ])
    func sampleResponses(vector: [UInt8], host: String) throws {
        try vector.withUnsafeBytes { bytes in
            let message = try STUNMessage(reading: bytes)
            #expect(message.messageClass == .successResponse)
            #expect(message.xorMappedAddress == NetworkAddress(host, port: 32853))
            #expect(MessageIntegrity.isValid(bytes, at: try #require(message.integrityOffset), key: Self.key))
            #expect(STUNFingerprint.isValid(bytes, at: try #require(message.fingerprintOffset)))
        }
    }

    @Test("a wrong key or a changed byte breaks the integrity")
    func integrity() throws {
        var changed = STUNVectors.request
        changed[30] ^= 1
        try changed.withUnsafeBytes { bytes in
            let offset = try #require(try STUNMessage(reading: bytes).integrityOffset)
            #expect(!MessageIntegrity.isValid(bytes, at: offset, key: Self.key))
        }
        try STUNVectors.request.withUnsafeBytes { bytes in
            let offset = try #require(try STUNMessage(reading: bytes).integrityOffset)
            #expect(!MessageIntegrity.isValid(bytes, at: offset, key: Array("another password".utf8)))
            #expect(!MessageIntegrity.isValid(bytes, at: bytes.count - 8, key: Self.key))
            #expect(!STUNFingerprint.isValid(bytes, at: bytes.count - 4))
        }
    }

    @Test("a message cut anywhere is refused", arguments: 0..<STUNVectors.request.count)
    func truncated(length: Int) {
        #expect(throws: STUNError.self) {
            try STUNVectors.request[..<length].withUnsafeBytes { _ = try STUNMessage(reading: $0) }
        }
    }

    @Test("what is written is read back")
    func roundTrip() throws {
        var writer = ByteWriter()
        writer.writeSTUNHeader(.request, transactionID: Self.transactionID)
        writer.writeSTUNUsername(STUNVectors.username.utf8)
        writer.writeSTUNPriority(77)
        writer.writeSTUNUseCandidate()
        writer.writeSTUNRole(.controlling(42))
        writer.writeMessageIntegrity(key: Self.key)
        writer.writeSTUNFingerprint()
        try writer.bytes.withUnsafeBytes { bytes in
            let message = try STUNMessage(reading: bytes)
            #expect(message.messageClass == .request)
            #expect(message.usesCandidate)
            #expect(message.role == .controlling(42))
            #expect(message.priority == 77)
            #expect(MessageIntegrity.isValid(bytes, at: try #require(message.integrityOffset), key: Self.key))
            #expect(STUNFingerprint.isValid(bytes, at: try #require(message.fingerprintOffset)))
        }
    }

    @Test(
        "class and method are woven into the type",
        arguments: [STUNMessage.Class.request, .indication, .successResponse, .errorResponse])
    func messageType(messageClass: STUNMessage.Class) throws {
        var writer = ByteWriter()
        writer.writeSTUNHeader(messageClass, method: 0xABC, transactionID: Self.transactionID)
        let message = try writer.bytes.withUnsafeBytes { try STUNMessage(reading: $0) }
        #expect(message.messageClass == messageClass)
        #expect(message.method == 0xABC)
    }

    @Test(
        "an error carries code and phrase",
        arguments: [STUNErrorCode.badRequest, .unauthenticated, .unknownAttribute, .roleConflict])
    func errorCode(code: STUNErrorCode) throws {
        var writer = ByteWriter()
        writer.writeSTUNHeader(.errorResponse, transactionID: Self.transactionID)
        writer.writeSTUNError(code)
        let message = try writer.bytes.withUnsafeBytes { try STUNMessage(reading: $0) }
        #expect(message.errorCode == code.rawValue)
    }

    @Test("unknown attributes: required ones are named, optional ones ignored, no more than four kept")
    func unknownAttributes() throws {
        var bytes: [UInt8] = [0x00, 0x01, 0x00, 0x1C, 0x21, 0x12, 0xA4, 0x42] + [UInt8](repeating: 7, count: 12)
        for type in [0x7001, 0xC057, 0x7002, 0x7003, 0x7004, 0x7005, 0x8070] {
            bytes += [UInt8(type >> 8), UInt8(type & 0xFF), 0, 0]
        }
        let message = try bytes.withUnsafeBytes { try STUNMessage(reading: $0) }
        #expect(message.unknownAttributeCount == 4)
        #expect(message.unknownAttributes == [0x7001, 0x7002, 0x7003, 0x7004])
    }

    @Test("what follows the integrity is not believed")
    func afterIntegrity() throws {
        var writer = ByteWriter()
        writer.writeSTUNHeader(.request, transactionID: Self.transactionID)
        writer.writeMessageIntegrity(key: Self.key)
        writer.writeSTUNUseCandidate()
        writer.writeSTUNUsername("a:b".utf8)
        writer.writeSTUNFingerprint()
        let message = try writer.bytes.withUnsafeBytes { try STUNMessage(reading: $0) }
        #expect(!message.usesCandidate)
        #expect(message.username == nil)
        #expect(message.fingerprintOffset != nil)
    }

    @Test("attributes of a wrong length, or behind the fingerprint, are refused")
    func malformedAttributes() {
        let header: [UInt8] = [0x00, 0x01, 0x00, 0x08, 0x21, 0x12, 0xA4, 0x42] + [UInt8](repeating: 7, count: 12)
        #expect(throws: STUNError.attributeLength(type: 0x0024, length: 3)) {
            try (header + [0x00, 0x24, 0x00, 0x03, 1, 2, 3, 0]).withUnsafeBytes { _ = try STUNMessage(reading: $0) }
        }
        #expect(throws: STUNError.addressFamily(9)) {
            var bytes = header + [0x00, 0x20, 0x00, 0x08, 0, 9, 0, 0, 0, 0, 0, 0]
            bytes[3] = 12
            try bytes.withUnsafeBytes { _ = try STUNMessage(reading: $0) }
        }
        #expect(throws: STUNError.attributeAfterFingerprint) {
            var writer = ByteWriter()
            writer.writeSTUNHeader(.request, transactionID: Self.transactionID)
            writer.writeSTUNFingerprint()
            writer.writeSTUNUseCandidate()
            try writer.bytes.withUnsafeBytes { _ = try STUNMessage(reading: $0) }
        }
    }

    @Test(
        "mutated messages never trap",
        arguments: [STUNVectors.request, STUNVectors.responseIPv4, STUNVectors.responseIPv6])
    func mutations(vector: [UInt8]) {
        for bytes in MutatedBytes(of: vector, seed: 5769) {
            bytes.withUnsafeBytes { bytes in
                guard let message = try? STUNMessage(reading: bytes) else { return }
                if let username = message.username { #expect(username.upperBound <= bytes.count) }
                if let offset = message.integrityOffset {
                    _ = MessageIntegrity.isValid(bytes, at: offset, key: Self.key)
                }
                if let offset = message.fingerprintOffset { _ = STUNFingerprint.isValid(bytes, at: offset) }
            }
        }
    }
}
