// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One unit between client and server: a STUN message or the data of a channel, RFC 8656 §12.
package enum TURNFrame: Equatable, Sendable {
    case message([UInt8])
    case channelData(channel: UInt16, payload: [UInt8])

    /// Channel numbers that clients may use, RFC 8656 §12.
    package static let channels: ClosedRange<UInt16> = 0x4000...0x4FFF

    /// Reads one datagram; nil when it is neither. Bytes after the data of a channel are padding.
    package init?(datagram: [UInt8]) {
        guard datagram.count >= 4, let first = BigEndian.value(of: datagram[0..<2], as: UInt16.self),
            let length = BigEndian.value(of: datagram[2..<4], as: UInt16.self)
        else { return nil }
        switch first >> 14 {
        case 0: self = .message(datagram)
        case 1 where datagram.count >= 4 + Int(length):
            self = .channelData(channel: first, payload: Array(datagram[4..<4 + Int(length)]))
        default: return nil
        }
    }

    /// The data of a channel for the wire.
    ///
    /// - Parameter isPadded: True on a stream, where every unit ends on a multiple of four bytes.
    package static func encoded(channel: UInt16, payload: [UInt8], isPadded: Bool) -> [UInt8] {
        let payload = payload.prefix(Int(UInt16.max))
        var bytes = BigEndian.bytes(of: channel) + BigEndian.bytes(of: UInt16(clamping: payload.count)) + payload
        if isPadded { bytes += [UInt8](repeating: 0, count: (4 - payload.count % 4) % 4) }
        return bytes
    }
}

/// Cuts a byte stream into frames, RFC 8656 §3.6 and §12.5. Holds at most one unfinished frame.
package struct TURNFrameReader: Sendable {
    private var pending: [UInt8] = []
    /// The stream is not one of TURN; nothing more will be read from it.
    package private(set) var isBroken = false

    package init() {}

    package mutating func receive(_ bytes: [UInt8]) -> [TURNFrame] {
        guard !isBroken else { return [] }
        pending += bytes
        var frames: [TURNFrame] = []
        var offset = 0
        while pending.count - offset >= 4 {
            let head = pending[offset..<offset + 4]
            let kind = head[offset] >> 6
            guard kind < 2, let length = BigEndian.value(of: head.suffix(2), as: UInt16.self).map({ Int($0) }) else {
                isBroken = true
                break
            }
            let count = kind == 0 ? TURNMessage.headerByteCount + length : 4 + length + (4 - length % 4) % 4
            guard pending.count - offset >= count else { break }
            if let frame = TURNFrame(datagram: Array(pending[offset..<offset + count])) { frames.append(frame) }
            offset += count
        }
        pending.removeFirst(offset)
        if isBroken { pending = [] }
        return frames
    }
}
