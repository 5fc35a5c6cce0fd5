// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Why text is not base64url.
package enum Base64URLError: Error, Equatable, Sendable {
    /// A character outside the alphabet, or `=` before the end.
    case character(offset: Int)
    /// A number of characters that no number of bytes encodes to, or the wrong number of `=`.
    case length
    /// The last character carries bits that belong to no byte: the same bytes would have two spellings.
    case trailingBits
}

/// The URL-safe base64 alphabet, RFC 4648 §5, decoded strictly: no blanks, no line ends, one spelling per value.
package enum Base64URL {
    package enum Padding: Sendable {
        /// `=` is refused, as in RFC 7515 §2.
        case forbidden
        /// `=` may be there to fill the last group of four, or not.
        case optional
    }

    /// The bytes that `text` stands for.
    package static func decode(
        _ text: some BidirectionalCollection<UInt8>,
        padding: Padding = .forbidden
    ) throws(Base64URLError) -> [UInt8] {
        let digits = text[..<endOfDigits(text, padding: padding)]
        let pads = text.count - digits.count
        guard pads == 0 || pads == (4 - digits.count % 4) % 4, digits.count % 4 != 1 else { throw .length }

        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 4 * 3 + 2)
        var accumulator: UInt32 = 0
        var bits = 0
        for (offset, digit) in digits.enumerated() {
            guard let value = value(of: digit) else { throw .character(offset: offset) }
            accumulator = accumulator << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: accumulator >> UInt32(bits)))
                accumulator &= 1 << UInt32(bits) - 1
            }
        }
        guard accumulator == 0 else { throw .trailingBits }
        return bytes
    }

    /// `bytes` without padding.
    package static func encode(_ bytes: some Collection<UInt8>) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count * 4 + 2) / 3)
        var accumulator: UInt32 = 0
        var bits = 0
        for byte in bytes {
            accumulator = accumulator << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                text.append(digit(for: UInt8(truncatingIfNeeded: accumulator >> UInt32(bits) & 0x3F)))
            }
        }
        if bits > 0 {
            text.append(digit(for: UInt8(truncatingIfNeeded: accumulator << UInt32(6 - bits) & 0x3F)))
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static func endOfDigits<Text: BidirectionalCollection<UInt8>>(_ text: Text, padding: Padding) -> Text.Index
    {
        var end = text.endIndex
        guard padding == .optional else { return end }
        for _ in 0..<2 where end != text.startIndex && text[text.index(before: end)] == UInt8(ascii: "=") {
            end = text.index(before: end)
        }
        return end
    }

    private static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): digit - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0") + 52
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }

    private static func digit(for value: UInt8) -> UInt8 {
        switch value {
        case 0..<26: UInt8(ascii: "A") + value
        case 26..<52: UInt8(ascii: "a") + value - 26
        case 52..<62: UInt8(ascii: "0") + value - 52
        case 62: UInt8(ascii: "-")
        default: UInt8(ascii: "_")
        }
    }
}
