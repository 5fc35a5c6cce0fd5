// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The secret a member encrypts its frames with, and the index that frames carry.
///
/// It never prints its bytes.
package struct MediaKey: Equatable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Deployed clients use 16 bytes, the proposal asks for 32 or more.
    package static let byteCounts = 16...64

    package let index: UInt8
    package let bytes: [UInt8]

    /// - Throws: ``EventRefusal/invalidKeyLength`` outside ``byteCounts``.
    package init(index: UInt8, bytes: [UInt8]) throws(EventRefusal) {
        guard Self.byteCounts.contains(bytes.count) else { throw .invalidKeyLength }
        self.index = index
        self.bytes = bytes
    }

    init(_ value: JSONValue?) throws(EventRefusal) {
        guard let fields = value?.object else { throw .missingKey }
        let text = try fields.requiredText("key", orRefuse: .missingKey)
        guard case .integer(let number) = fields["index"], let index = UInt8(exactly: number) else {
            throw .invalidKeyIndex
        }
        guard let bytes = UnpaddedBase64.decode(text) else { throw .malformedKey }
        try self.init(index: index, bytes: bytes)
    }

    package var description: String { "media key \(index)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["index": index]) }
}
