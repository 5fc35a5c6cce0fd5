// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What is to be done for one-to-one calls, in the order given.
package enum LegacyCallAction: Equatable, Sendable {
    /// Send this event into the room of the call, encrypted where the room is.
    case send(LegacyCallMessage, LegacyCallEnd)
    /// Have the media side answer this offer; then comes ``LegacyCallTable/answered(_:with:at:)``.
    case makeAnswer(LegacyCallKey, offer: String)
    /// The media side gets the answer to an offer of ours.
    case takeAnswer(LegacyCallKey, answer: String)
    /// The media side gets candidates of the peer, in their order.
    case addCandidates(LegacyCallKey, [CallCandidates.Candidate])
    /// The media side lets go; the call is over, and everything about it forgotten.
    case stop(LegacyCallEnd, LegacyCallStop)
    case refused(LegacyCallRefusal)
}

/// Why a call is over. Each case is a counter's label.
package enum LegacyCallStop: String, CaseIterable, Sendable {
    /// The peer hung up, in whatever words, or turned our invite down.
    case peerHungUp
    case peerLeftRoom
    /// The caller took another answer.
    case answeredElsewhere
    /// The peer calls anew, or both called at once.
    case replaced
    /// The invite rang out before there was an answer.
    case inviteTimeout
    /// No media came up.
    case connectionFailed
    /// Media came up and went away.
    case connectionLost
    /// The description cannot be answered.
    case mediaRefused
    /// More offers in a running call than anybody needs.
    case tooManyOffers
    /// The homeserver does not let us answer, or call.
    case refusedByHomeserver
    /// The longest time of a call is over.
    case tooLong
    /// Somebody here wanted it, or the service stops.
    case ended

    /// What the peer is told; nil when it knows.
    package var hangup: CallHangup.Reason? {
        switch self {
        case .peerHungUp, .peerLeftRoom, .answeredElsewhere, .refusedByHomeserver: nil
        case .replaced: .replaced
        case .inviteTimeout: .inviteTimeout
        case .connectionFailed: .iceFailed
        case .connectionLost: .iceTimeout
        case .mediaRefused: .userMediaFailed
        case .tooManyOffers: .unknownError
        case .tooLong, .ended: .userHangup
        }
    }
}
