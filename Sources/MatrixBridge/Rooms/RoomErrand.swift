// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// Something the bot has to do about one room at the homeserver. Stored until it is done; doing it twice does no harm.
package struct RoomErrand: Equatable, Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        /// Accept an invitation.
        case join
        case decline
        /// Read the current state once: what was true before the bot saw events of the room.
        case readState
    }

    /// How an attempt ended.
    package enum Outcome: Equatable, Sendable {
        case done
        /// It cannot succeed; the homeserver said why.
        case refused(MatrixErrorCode)
        /// The answer is larger than we read, or not what the specification says.
        case unreadable
        /// Something changed in the room while its state was read: read again.
        case outdated
        /// Trying later may help.
        case failed(requestedDelayMilliseconds: UInt64?)
    }

    /// Order of arrival; a later errand of the same room takes the place of an earlier one.
    package var sequence: Int64
    package var room: RoomID
    package var kind: Kind

    package init(sequence: Int64, room: RoomID, kind: Kind) {
        self.sequence = sequence
        self.room = room
        self.kind = kind
    }
}

extension RoomErrand.Outcome {
    /// What a failed request means for the errand it was part of.
    package init(_ error: MatrixClientError) {
        switch error {
        case .noAnswer(.bodyTooLarge), .unexpectedAnswer: self = .unreadable
        case .noAnswer: self = .failed(requestedDelayMilliseconds: nil)
        case .refused(let refusal) where error.isTransient || refusal.status == 401:
            // 401: the homeserver no longer knows our token; the link to it says so and ends the process.
            self = .failed(requestedDelayMilliseconds: refusal.retryAfterMilliseconds)
        case .refused(let refusal): self = .refused(refusal.code)
        }
    }

    /// Whether the errand is over, with or without success.
    package var isFinal: Bool {
        switch self {
        case .done, .refused, .unreadable: true
        case .outdated, .failed: false
        }
    }
}
