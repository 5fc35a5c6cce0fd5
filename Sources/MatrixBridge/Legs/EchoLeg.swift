// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU

/// An echo in the call of one room: a membership, and a participant of the focus.
struct EchoLeg: Sendable {
    /// Why a leg ended.
    enum Ending: Equatable, Sendable {
        case told
        case alone
        case limit
        /// The media ended, or never came; why, in words.
        case media(String)
        /// The homeserver did not take our membership; its words.
        case refused(String)
        /// It is gone, but the homeserver did not take its membership back; its words.
        case leaveRefused(String)
        /// The bot's encrypted device is another by now.
        case replaced
        case shutDown

        /// For the log, counters and people.
        var event: LegKeeper.Event {
            switch self {
            case .told: .told
            case .alone: .alone
            case .limit: .limit
            case .media: .mediaEnded
            case .refused: .membershipRefused
            case .leaveRefused: .leaveRefused
            case .replaced: .deviceReplaced
            case .shutDown: .shutDown
            }
        }

        var sentence: String {
            switch self {
            case .told: "it was told to leave"
            case .alone: "nobody else was in the call for a minute"
            case .limit: "its time was over (matrix.echo_limit)"
            case .media(let reason): "its connection to the focus ended: \(reason)"
            case .refused(let reason): "the homeserver did not take its membership: \(reason)"
            case .leaveRefused(let reason): "it left, but the homeserver did not take its membership back: \(reason)"
            case .replaced: "my encrypted device was replaced; try again"
            case .shutDown: "Callbridge was shut down"
            }
        }
    }

    let announcement: LegAnnouncement
    let participant: FocusParticipant
    let startedAt: UnixMilliseconds
    /// Tells this leg from an earlier one of the room.
    let number: UInt64
    var membership: LegMembership
    /// The record as it is stored.
    var stored: LegMembership.Record
    /// In an encrypted call.
    let keys: MediaKeyExchange?
    var hasKeyJob = false
    var media: (any EchoMedia)?
    var hasMediaJob = false
    /// Its membership stood at some time: others could see it before it heard anything.
    var hasBeenIn = false
    /// Since when it did not.
    var outSince: MonotonicTime?
    /// Requests are under way.
    var isWorking = false
    /// Since when nobody else was in the call.
    var aloneSince: MonotonicTime?
    /// Set once it shall end.
    var ending: Ending?

    var isHere: Bool { ending == nil && membership.isIn && media?.progress.isConnected == true }

    var row: LegTable.Row {
        LegTable.Row(
            room: announcement.room, roomVersion: announcement.roomVersion, isWanted: ending == nil,
            device: announcement.device, startedAt: startedAt, record: membership.record)
    }

    mutating func end(_ ending: Ending) {
        guard self.ending == nil else { return }
        self.ending = ending
        membership.leave()
        media?.stop()
        keys?.close()
    }
}
