// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Why an event of a one-to-one call has no effect. Each case is a counter's label.
package enum LegacyCallRefusal: String, CaseIterable, Sendable {
    // Invites that are not answered, and nobody is told.

    /// Our own event, which comes back to us.
    case ownEvent
    /// The invite rings no longer, or almost.
    case inviteTooOld
    /// The invite is for somebody else.
    case otherInvitee
    /// Nothing is known about the room.
    case unknownRoom
    /// Anybody may come in, so anybody could have been meant.
    case publicRoom
    /// More than two are in the room.
    case crowdedRoom
    /// In the clear, and the room is encrypted.
    case notEncrypted
    /// The call was over, or turned down, before.
    case callOver
    /// An invite with the id of a call that runs.
    case repeatedInvite
    /// Both sides called, and ours survives.
    case outranked
    /// One caller, or one homeserver, calls too often.
    case rateLimited

    // Invites that are turned down.

    /// As many calls as there may be. Where there may be none, nobody is told.
    case tooManyCalls
    /// As many as one user may have, or those of one other homeserver.
    case tooManyCallsOfUser
    /// The policy does not let this caller make calls here.
    case notAllowed

    // What follows.

    case unknownCall
    /// From another user than the one the call is with.
    case otherUser
    /// From another device than the one the call is with.
    case otherParty
    /// Nothing that can follow what was before.
    case outOfTurn
    /// A peer of version 0 sent what its version does not have.
    case notInVersionZero
    /// More candidates before an invite than are kept.
    case tooManyEarlyCandidates
}
