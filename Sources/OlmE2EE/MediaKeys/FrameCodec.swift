// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How much of an encoded frame stays readable, so that packetisers and servers can do their work on it.
package enum FrameCodec: Equatable, Sendable {
    /// The TOC byte stays clear.
    case opus
    /// The uncompressed header of RFC 6386 §9.1 stays clear: 10 bytes of a key frame, 3 of others.
    case vp8
    case vp9
    /// Annex B; clear up to the second byte of the first slice.
    case h264
    /// Annex B; clear up to the second byte of the first slice.
    case h265
    /// Treated like VP8, by what the depacketiser says of the frame.
    case unknown(isKeyFrame: Bool)

    /// Bytes at the start of `frame` that are not encrypted but authenticated. Nil when the frame has no such start.
    func clearByteCount(of frame: [UInt8]) -> Int? {
        let count: Int? =
            switch self {
            case .opus: 1
            case .vp8: frame.first.map { $0 & 1 == 0 ? 10 : 3 }
            case .vp9: 0
            case .h264: Self.firstSlice(in: frame) { (1...5).contains($0 & 0x1F) }.map { $0 + 2 }
            case .h265:
                Self.firstSlice(in: frame) { header in
                    (0...9).contains(header >> 1 & 0x3F) || (16...21).contains(header >> 1 & 0x3F)
                }.map { $0 + 2 }
            case .unknown(let isKeyFrame): isKeyFrame ? 10 : 3
            }
        guard let count, count <= frame.count else { return nil }
        return count
    }

    /// Encrypted bytes could look like start codes to a packetiser.
    var needsEmulationPrevention: Bool {
        switch self {
        case .h264, .h265: true
        case .opus, .vp8, .vp9, .unknown: false
        }
    }

    /// The offset of the first NAL unit header, after a start code, that `isSlice` recognises.
    private static func firstSlice(in frame: [UInt8], isSlice: (UInt8) -> Bool) -> Int? {
        var zeros = 0
        for (offset, byte) in frame.enumerated() {
            if byte == 1, zeros >= 2, offset + 1 < frame.count, isSlice(frame[offset + 1]) {
                return offset + 1
            }
            zeros = byte == 0 ? zeros + 1 : 0
        }
        return nil
    }
}

/// Emulation prevention, H.264 §7.4.1: no three bytes look like the beginning of a start code.
enum EmulationPrevention {
    /// Puts a 3 between two zeros and a byte below 4.
    static func insert(into bytes: some Sequence<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        var zeros = 0
        for byte in bytes {
            if zeros >= 2, byte <= 3 {
                output.append(3)
                zeros = 0
            }
            output.append(byte)
            zeros = byte == 0 ? zeros + 1 : 0
        }
        return output
    }

    /// Takes each 3 after two zeros away.
    static func remove(from bytes: some Sequence<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        var zeros = 0
        for byte in bytes {
            if zeros >= 2, byte == 3 {
                zeros = 0
                continue
            }
            output.append(byte)
            zeros = byte == 0 ? zeros + 1 : 0
        }
        return output
    }
}
