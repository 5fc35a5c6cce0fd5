// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Rules of size and alphabet shared by all Matrix identifiers and keys.
package enum MatrixText {
    /// The longest identifier, event type or state key, in bytes of UTF-8 (Matrix specification, "Size limits").
    package static let maximumByteCount = 255

    /// Whether `text` fits the limit, is not empty and has no control character.
    ///
    /// Old user ids may hold control characters; no known server has made one for years, and a line break in an
    /// identifier would forge log lines.
    static func isWellFormed(_ text: String) -> Bool {
        let utf8 = text.utf8
        return !utf8.isEmpty && utf8.count <= maximumByteCount && utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    }
}

/// An identifier whose grammar was checked when it was made, so it is trusted afterwards.
///
/// Identifiers are equal when their bytes are: `String` would also equate composed and decomposed letters, which are
/// different users to a homeserver.
package protocol MatrixIdentifier: Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    /// The identifier as written in events, with its sigil.
    var rawValue: String { get }

    /// Nil when `rawValue` breaks the grammar of the kind or is longer than 255 bytes.
    init?(_ rawValue: String)
}

extension MatrixIdentifier {
    package static func == (left: Self, right: Self) -> Bool {
        left.rawValue.utf8.elementsEqual(right.rawValue.utf8)
    }

    package static func < (left: Self, right: Self) -> Bool {
        left.rawValue.utf8.lexicographicallyPrecedes(right.rawValue.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        var text = rawValue
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        hasher.combine(0xFF as UInt8)
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let identifier = Self(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a \(Self.self)")
        }
        self = identifier
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }

    package var description: String { rawValue }
}
