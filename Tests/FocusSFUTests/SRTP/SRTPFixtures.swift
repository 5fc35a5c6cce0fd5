// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU

/// Memory for one packet with room for the tag, freed with the object.
final class SRTPPacketBuffer {
    let start: UnsafeMutableRawPointer
    let memory: UnsafeMutableRawBufferPointer
    var length: Int

    init(_ bytes: [UInt8], capacity: Int = 2_048) {
        start = .allocate(byteCount: capacity, alignment: 8)
        memory = UnsafeMutableRawBufferPointer(start: start, count: capacity)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        memory.copyBytes(from: bytes)
        length = bytes.count
    }

    deinit {
        start.deallocate()
    }

    var bytes: [UInt8] { Array(memory[0..<length]) }
}

/// Bytes from hexadecimal text; spaces and line ends are skipped.
func srtpVector(_ text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue).map(UInt8.init)
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

extension SRTPKeyingMaterial {
    /// Keys that are the same in each run.
    static func fixed(_ profile: SRTPProfile) -> SRTPKeyingMaterial {
        SRTPKeyingMaterial(profile: profile) { bytes in
            for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index &* 37 &+ 11) }
        }
    }
}

/// An RTP packet: version 2, payload type 96, timestamp 1000.
func rtpPacket(sequence: UInt16, ssrc: UInt32 = 0x1234_5678, payload: Int = 100, extensionWords: Int? = nil) -> [UInt8]
{
    var bytes: [UInt8] = [extensionWords == nil ? 0x80 : 0x90, 96]
    bytes += [UInt8(sequence >> 8), UInt8(sequence & 0xFF), 0, 0, 3, 0xE8]
    bytes += (0..<4).map { UInt8(truncatingIfNeeded: ssrc >> (24 - 8 * $0)) }
    if let extensionWords {
        bytes += [0xBE, 0xDE, 0, UInt8(extensionWords)]
        bytes += [UInt8](repeating: 0x10, count: 4 * extensionWords)
    }
    return bytes + (0..<payload).map { UInt8(truncatingIfNeeded: $0) }
}

/// A receiver report without blocks, filled up with an application packet to the wanted length.
func rtcpPacket(ssrc: UInt32 = 0x1234_5678, words: Int = 8) -> [UInt8] {
    var bytes: [UInt8] = [0x80, 201, 0, UInt8(words - 1)]
    bytes += (0..<4).map { UInt8(truncatingIfNeeded: ssrc >> (24 - 8 * $0)) }
    return bytes + (8..<4 * words).map { UInt8(truncatingIfNeeded: $0) }
}
