// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How far the media of a mirror is.
package enum MirrorState: Equatable, Sendable {
    /// There is none of the name: it never was, or it is over.
    case absent
    case connecting
    case connected
}

/// What a mirror answers to an offer.
package struct MirrorAnswer: Equatable, Sendable {
    package let sdp: String
    /// The stream that brings the peer its own tracks; nil when it sends none that could come back.
    package let streamID: String?
}

/// Why there is no answer.
package enum MirrorRefusal: Error, Equatable, Sendable, CustomStringConvertible {
    /// The offer cannot be understood, or holds nothing to use.
    case description(SDPError)
    /// No section of the offer brings a track that could come back.
    case nothingToReflect
    /// Too many clients have joined whose media is not connected yet.
    case tooManyHandshakes

    package var description: String {
        switch self {
        case .description(let error): error.description
        case .nothingToReflect: "the offer brings no track that could come back"
        case .tooManyHandshakes: "too many clients wait for their media connection"
        }
    }
}
