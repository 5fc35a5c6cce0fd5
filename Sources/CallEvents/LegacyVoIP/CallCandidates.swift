// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// `m.call.candidates`: ICE candidates found after the description was sent.
package struct CallCandidates: Equatable, Sendable {
    package struct Candidate: Equatable, Sendable {
        /// The candidate line of RFC 8839 §5.1 without `a=`; empty for the end of candidates.
        package let line: String
        package let mediaID: String?
        package let mediaLineIndex: Int?

        /// Nothing follows: gathering is complete.
        package var isEndOfCandidates: Bool { line.isEmpty }
    }

    /// Clients send batches of a few; a full event would hold about 400.
    package static let maximumCount = 256
    package static let maximumLineByteCount = 1024

    package let header: LegacyCallHeader
    package let candidates: [Candidate]

    init(_ event: RoomEvent) throws(EventRefusal) {
        self.header = try LegacyCallHeader(event)
        guard let entries = event.content["candidates"]?.array else { throw .invalidCandidates }
        guard entries.count <= Self.maximumCount else { throw .tooManyCandidates }
        var candidates: [Candidate] = []
        candidates.reserveCapacity(entries.count)
        for entry in entries {
            guard let fields = entry.object else { throw .invalidCandidates }
            let line = try fields.requiredText(
                "candidate", orRefuse: .invalidCandidates, upTo: Self.maximumLineByteCount)
            let index = fields["sdpMLineIndex"]?.integer.flatMap { UInt16(exactly: $0) }
            candidates.append(
                Candidate(line: line, mediaID: fields.text("sdpMid"), mediaLineIndex: index.map { Int($0) }))
        }
        self.candidates = candidates
    }
}
