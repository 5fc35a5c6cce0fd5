// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Values of header extensions")
struct ExtensionValueTests {
    @Test("audio level, RFC 6464 §3")
    func audioLevel() throws {
        let level = try [0xA3 as UInt8].withUnsafeBytes { try AudioLevel(reading: $0) }
        #expect(level == AudioLevel(hasVoice: true, attenuation: 35))
        #expect(level.byte == 0xA3)
        #expect(AudioLevel(hasVoice: false, attenuation: 255).byte == 127)
        #expect(throws: RTPError.truncated(needed: 1, available: 0)) {
            try [UInt8]().withUnsafeBytes { _ = try AudioLevel(reading: $0) }
        }
    }

    @Test("media and stream identifiers, RFC 9143 §15.2 and RFC 8852 §3")
    func identifiers() throws {
        let bytes = Array("audio-0".utf8)
        #expect(try bytes.withUnsafeBytes { try MediaID(reading: $0) } == MediaID("audio-0"))
        #expect(MediaID("audio-0") != MediaID("audio-1"))
        #expect(MediaID("audio-0")?.text.description == "audio-0")
        let stream = try [UInt8(ascii: "q")].withUnsafeBytes { try RTPStreamID(reading: $0) }
        #expect(stream == RTPStreamID("q"))
        #expect(try [UInt8(ascii: "q")].withUnsafeBytes { try RepairedRTPStreamID(reading: $0) }.stream == stream)
        #expect(MediaID(String(repeating: "a", count: 16)) != nil)
        #expect(RTPStreamID("q-1") == nil)
        for refused in ["", String(repeating: "a", count: 17), "a b", "ä"] { #expect(MediaID(refused) == nil) }
        #expect(throws: RTPError.extensionValue) { try bytes.withUnsafeBytes { _ = try RTPStreamID(reading: $0) } }
        #expect(throws: RTPError.extensionValue) {
            try [UInt8](repeating: 65, count: 17).withUnsafeBytes { _ = try MediaID(reading: $0) }
        }
        #expect(throws: RTPError.extensionValue) { try [UInt8]().withUnsafeBytes { _ = try MediaID(reading: $0) } }
    }

    @Test("transport-wide sequence number")
    func transportSequence() throws {
        #expect(
            try [0x12 as UInt8, 0x34, 0].withUnsafeBytes { try TransportSequenceNumber(reading: $0) }.value == 0x1234)
        #expect(throws: RTPError.self) {
            try [1 as UInt8].withUnsafeBytes { _ = try TransportSequenceNumber(reading: $0) }
        }
    }

    @Test("absolute send time: 6.18 fixed point, wrapping every 64 s")
    func absSendTime() throws {
        #expect(AbsSendTime(MonotonicTime(nanoseconds: 1_500_000_000)).value == 0x06_0000)
        #expect(AbsSendTime(MonotonicTime(nanoseconds: 65_000_000_000)).value == 0x04_0000)
        #expect(AbsSendTime(MonotonicTime(nanoseconds: .max)).value <= 0xFF_FFFF)
        #expect(AbsSendTime(ntp: 0x0000_0001_8000_0000).value == 0x06_0000)
        let late = AbsSendTime(MonotonicTime(nanoseconds: 63_990_000_000))
        let wrapped = AbsSendTime(MonotonicTime(nanoseconds: 64_010_000_000))
        #expect((19_990...20_010).contains(wrapped.microseconds(since: late)))
        #expect((-20_010 ... -19_990).contains(late.microseconds(since: wrapped)))
        #expect(try [0x06 as UInt8, 0x00, 0x01].withUnsafeBytes { try AbsSendTime(reading: $0) }.value == 0x06_0001)
        #expect(throws: RTPError.self) { try [1 as UInt8, 2].withUnsafeBytes { _ = try AbsSendTime(reading: $0) } }
    }

    @Test("dependency descriptor: mandatory fields, and the structure that only key frames carry")
    func dependencyDescriptor() throws {
        let key = try [0xC5 as UInt8, 0x12, 0x34, 0x80, 0x00].withUnsafeBytes { try DependencyDescriptor(reading: $0) }
        #expect(key.startsFrame && key.endsFrame && key.startsKeyFrame)
        #expect(key.templateID == 5)
        #expect(key.frameNumber == 0x1234)
        let delta = try [0x85 as UInt8, 0x12, 0x35].withUnsafeBytes { try DependencyDescriptor(reading: $0) }
        #expect(delta.startsFrame && !delta.endsFrame && !delta.startsKeyFrame)
        let flagsOnly = try [0x85 as UInt8, 0x12, 0x35, 0x40].withUnsafeBytes { try DependencyDescriptor(reading: $0) }
        #expect(!flagsOnly.hasTemplateStructure)
        for length in 0..<3 {
            #expect(throws: RTPError.self) {
                try [UInt8](repeating: 0xFF, count: length).withUnsafeBytes {
                    _ = try DependencyDescriptor(reading: $0)
                }
            }
        }
    }
}
