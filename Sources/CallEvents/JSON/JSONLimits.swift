// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What one JSON document may cost before it is refused.
package struct JSONLimits: Equatable, Sendable {
    /// Length of the document in bytes.
    package var byteCount: Int
    /// Values in the whole document, the outermost included.
    package var valueCount: Int
    /// Arrays and objects inside one another. The parser recurses once a level, so this bounds the stack.
    package var depth: Int
    /// Values in an element of a list that is a member of the outermost object. One that holds more, or is too deep,
    /// counts as null, so that it does not cost what stands beside it; nil: it costs the whole document.
    package var elementValueCount: Int?

    package init(byteCount: Int, valueCount: Int, depth: Int = 64, elementValueCount: Int? = nil) {
        self.byteCount = byteCount
        self.valueCount = valueCount
        self.depth = depth
        self.elementValueCount = elementValueCount
    }

    /// One event: Matrix allows 64 KiB, the client format adds `unsigned` and the invite's state.
    package static let event = JSONLimits(byteCount: 1 << 18, valueCount: 1 << 14)
    /// One application-service transaction: at most 100 events, 100 ephemeral and 100 to-device messages.
    package static let transaction = JSONLimits(byteCount: 1 << 25, valueCount: 1 << 20)
}

/// Why bytes are no JSON document we read (RFC 8259).
package enum JSONRefusal: String, Error, CaseIterable, Sendable {
    /// More bytes than ``JSONLimits/byteCount``.
    case tooManyBytes
    /// More values than ``JSONLimits/valueCount``.
    case tooManyValues
    /// Deeper than ``JSONLimits/depth``.
    case tooDeep
    /// The document ends inside a value.
    case truncated
    /// A byte that cannot stand where it stands.
    case unexpectedByte
    /// A number outside the grammar of RFC 8259 §6, or too large for a double.
    case invalidNumber
    /// An escape outside the grammar of RFC 8259 §7.
    case invalidEscape
    /// A control character inside a string.
    case controlCharacter
    /// A string that is not UTF-8.
    case invalidUTF8
    /// Something follows the value.
    case trailingBytes
}
