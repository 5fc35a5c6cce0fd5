// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The character sets of RFC 8839 §5.4, RFC 8851 §10 and RFC 8866 §9.
enum SDPCharacters {
    /// `token`: visible ASCII without separators.
    static func isToken(_ text: some StringProtocol, maximum: Int) -> Bool {
        1...maximum ~= text.utf8.count
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x30...0x39, 0x41...0x5A, 0x5E...0x7E: true
                default: false
                }
            }
    }

    /// `ice-char`: letters, digits, plus and slash. Underscore and minus are tolerated, some stacks use URL-safe text.
    static func isICEText(_ text: String, length: ClosedRange<Int>) -> Bool {
        length ~= text.utf8.count
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x2B, 0x2D, 0x2F...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A: true
                default: false
                }
            }
    }

    /// `rid-id`: letters, digits, minus and underscore; 16 bytes at most fit a one-byte header extension.
    static func isRestrictionIdentifier(_ text: some StringProtocol) -> Bool {
        1...16 ~= text.utf8.count
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x2D, 0x30...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A: true
                default: false
                }
            }
    }
}

extension StringProtocol where SubSequence == Substring {
    /// The parts between runs of spaces; the last one keeps its spaces when `maxSplits` is reached.
    func sdpFields(maxSplits: Int = .max) -> [Substring] {
        utf8.split(separator: UInt8(ascii: " "), maxSplits: maxSplits)
            .map { self[$0.startIndex..<$0.endIndex] }
    }
}

extension FixedWidthInteger {
    /// Decimal digits only: no sign, no spaces.
    init?(sdpDigits text: some StringProtocol) {
        guard !text.isEmpty, text.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else { return nil }
        self.init(text, radix: 10)
    }
}

extension StringProtocol {
    /// Compares ASCII without regard to case.
    func equalsIgnoringCase(_ other: some StringProtocol) -> Bool {
        func folded(_ byte: UInt8) -> UInt8 {
            UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte ? byte | 0x20 : byte
        }
        return utf8.lazy.map(folded).elementsEqual(other.utf8.lazy.map(folded))
    }
}
