// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A text in which each `*` stands for any characters, also none. Compared byte by byte, as Matrix does with names.
package struct NamePattern: Equatable, Sendable, CustomStringConvertible {
    package let text: String
    private let parts: [[UInt8]]

    package init(_ text: String) {
        self.text = text
        parts = text.utf8.split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false).map(Array.init)
    }

    package var description: String { text }

    /// - Complexity: at worst the product of both lengths, which identifiers bound to 255 each.
    package func matches(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        guard let head = parts.first, let tail = parts.last, parts.count > 1 else { return bytes == parts.first ?? [] }
        guard bytes.count >= head.count + tail.count, bytes.starts(with: head),
            bytes.suffix(tail.count).elementsEqual(tail)
        else { return false }
        var rest = bytes[head.count..<(bytes.count - tail.count)]
        for part in parts.dropFirst().dropLast() {
            guard let end = Self.end(of: part, in: rest) else { return false }
            rest = rest[end...]
        }
        return true
    }

    /// The place after the first occurrence.
    private static func end(of part: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
        guard bytes.count >= part.count else { return nil }
        for start in bytes.startIndex...(bytes.endIndex - part.count)
        where bytes[start..<(start + part.count)].elementsEqual(part) {
            return start + part.count
        }
        return nil
    }
}
