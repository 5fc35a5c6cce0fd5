// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// `m.call.hangup`: the call is over, or will not happen.
package struct CallHangup: Equatable, Sendable {
    /// Why, in the words of the specification; clients add their own, and old ones say nothing.
    package enum Reason: String, CaseIterable, Sendable {
        case iceFailed = "ice_failed"
        case iceTimeout = "ice_timeout"
        case inviteTimeout = "invite_timeout"
        case userHangup = "user_hangup"
        case userMediaFailed = "user_media_failed"
        case userBusy = "user_busy"
        case unknownError = "unknown_error"
        case replaced
        case signallingTimeout = "signalling_timeout"
        case answeredElsewhere = "answered_elsewhere"
        case transferred
        /// A word without a name here.
        case other
        /// No reason given, which means a person hung up.
        case unstated
    }

    package let header: LegacyCallHeader
    package let reason: Reason

    init(_ event: RoomEvent) throws(EventRefusal) {
        self.header = try LegacyCallHeader(event)
        guard let word = event.content["reason"]?.string else {
            self.reason = .unstated
            return
        }
        self.reason = Reason(rawValue: word) ?? .other
    }
}
