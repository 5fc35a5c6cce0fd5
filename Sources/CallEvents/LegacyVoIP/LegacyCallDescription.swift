// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// An SDP offer or answer inside an `m.call.*` event. The SDP is not parsed here.
package struct LegacyCallDescription: Equatable, Sendable {
    package enum Kind: String, Sendable {
        case offer
        case answer
    }

    /// An event cannot be longer.
    package static let maximumSDPByteCount = 65_536

    package let kind: Kind
    package let sdp: String

    init(_ value: JSONValue?, allowing kinds: Set<Kind>) throws(EventRefusal) {
        guard let description = value?.object else { throw .missingDescription }
        guard let kind = description["type"]?.string.flatMap(Kind.init), kinds.contains(kind) else {
            throw .invalidDescriptionType
        }
        self.kind = kind
        self.sdp = try description.requiredText("sdp", orRefuse: .missingDescription, upTo: Self.maximumSDPByteCount)
    }
}
