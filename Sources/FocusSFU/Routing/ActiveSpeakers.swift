// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc

/// Who speaks, and how loud, from the levels that senders put into their packets (RFC 6464).
///
/// Time is cut into windows of 400 ms. A window is active when samples louder than −35 dBov fill 40 % of it. Its value
/// is the loudest sample as an amplitude, times the share of the window that was active, smoothed over two windows; a
/// window that is not active counts as silence. Values are told in eighths, rounded up, and only when they change.
package struct ActiveSpeakers: Sendable {
    package struct Change: Equatable, Sendable {
        package var participant: Int
        /// 0 to 1; 0 when not active.
        package var level: Float
        package var isActive: Bool

        package init(participant: Int, level: Float, isActive: Bool) {
            self.participant = participant
            self.level = level
            self.isActive = isActive
        }
    }

    package struct Thresholds: Equatable, Sendable {
        /// In −dBov: samples at most this far below full scale count as sound.
        package var activeAttenuation: UInt8 = 35
        package var activePercent: UInt64 = 40
        package var windowMilliseconds: UInt64 = 400
        package var smoothedWindows: Float = 2

        package init() {}
    }

    private static let steps: Float = 8

    private struct Window {
        var isPresent = false
        var loudest: UInt8 = 127
        var activeMilliseconds: UInt64 = 0
        var smoothed: Float = 0
        /// In eighths, 0 when not active; what was told last.
        var told: UInt8 = 0
    }

    private let thresholds: Thresholds
    private var windows: [Window] = []
    private var windowStart: MonotonicTime

    package init(thresholds: Thresholds = Thresholds(), at now: MonotonicTime) {
        self.thresholds = thresholds
        windowStart = now
    }

    /// Makes room for a participant.
    ///
    /// - Parameter participant: its number in the room, from 0 and dense; numbers may be used again after leaving.
    package mutating func participantJoined(_ participant: Int) {
        precondition(participant >= 0, "participants are numbered from 0")
        while windows.count <= participant { windows.append(Window()) }
        windows[participant] = Window()
        windows[participant].isPresent = true
    }

    /// Forgets the participant, without a change told.
    package mutating func participantLeft(_ participant: Int) {
        guard windows.indices.contains(participant) else { return }
        windows[participant] = Window()
    }

    /// Notes the level of one packet, which holds `milliseconds` of sound.
    package mutating func levelReceived(_ level: AudioLevel, from participant: Int, milliseconds: UInt64) {
        guard windows.indices.contains(participant), level.attenuation <= thresholds.activeAttenuation else { return }
        windows[participant].activeMilliseconds += min(milliseconds, thresholds.windowMilliseconds)
        windows[participant].loudest = min(windows[participant].loudest, level.attenuation)
    }

    /// When the window ends.
    package var nextDeadline: MonotonicTime {
        windowStart.advanced(byMilliseconds: thresholds.windowMilliseconds)
    }

    /// Ends the window if its time is over, and appends to `changes` who speaks differently from what was told before.
    package mutating func advance(to now: MonotonicTime, changes: inout [Change]) {
        guard nextDeadline <= now else { return }
        let length = now.milliseconds(since: windowStart)
        windowStart = now
        for participant in windows.indices where windows[participant].isPresent {
            let eighths = closeWindow(&windows[participant], milliseconds: length)
            guard eighths != windows[participant].told else { continue }
            windows[participant].told = eighths
            changes.append(
                Change(participant: participant, level: Float(eighths) / Self.steps, isActive: eighths > 0))
        }
    }

    /// What a newcomer must be told of the participant; nil when it does not speak.
    package func speaker(_ participant: Int) -> Change? {
        guard windows.indices.contains(participant), windows[participant].told > 0 else { return nil }
        return Change(participant: participant, level: Float(windows[participant].told) / Self.steps, isActive: true)
    }

    private func closeWindow(_ window: inout Window, milliseconds: UInt64) -> UInt8 {
        let active = min(window.activeMilliseconds, milliseconds)
        if active > 0, active * 100 >= milliseconds * thresholds.activePercent {
            let level = Self.amplitude(window.loudest) * Float(active) / Float(milliseconds)
            window.smoothed += (level - window.smoothed) * 2 / (thresholds.smoothedWindows + 1)
        } else {
            window.smoothed = 0
        }
        window.activeMilliseconds = 0
        window.loudest = 127
        guard window.smoothed >= Self.amplitude(thresholds.activeAttenuation) else { return 0 }
        return UInt8(min((window.smoothed * Self.steps).rounded(.up), Self.steps))
    }

    /// 10^(−dB/20).
    private static func amplitude(_ attenuation: UInt8) -> Float {
        powf(10, -Float(attenuation) / 20)
    }
}
