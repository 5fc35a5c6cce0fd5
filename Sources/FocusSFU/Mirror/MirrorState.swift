// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How far the media of a mirror is.
package enum MirrorState: Equatable, Sendable {
    /// There is none of the name: it never was, or it is over.
    case absent
    case connecting
    /// The peer closed its connection, as clients do that hang up.
    case closed
    case connected
}

/// A session description of a mirror: its offer, or its answer.
package struct MirrorDescription: Equatable, Sendable {
    package let sdp: String
    /// The stream that brings the peer its own tracks; nil when it sends none that could come back.
    package let streamID: String?
}

/// Why there is no description, or why the peer's is not taken.
package enum MirrorRefusal: Error, Equatable, Sendable, CustomStringConvertible {
    /// The peer's description cannot be understood, or holds nothing to use.
    case description(SDPError)
    /// No section of the offer brings a track that could come back.
    case nothingToReflect
    /// An answer, and there is no offer of ours.
    case nothingOffered
    /// No codec that we could offer is enabled.
    case nothingToOffer
    /// Too many clients have joined whose media is not connected yet.
    case tooManyHandshakes

    package var description: String {
        switch self {
        case .description(let error): error.description
        case .nothingToReflect: "the offer brings no track that could come back"
        case .nothingOffered: "an answer without an offer"
        case .nothingToOffer: "neither opus nor vp8 is enabled"
        case .tooManyHandshakes: "too many clients wait for their media connection"
        }
    }
}
