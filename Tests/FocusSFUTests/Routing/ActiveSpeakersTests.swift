// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Active speakers")
struct ActiveSpeakersTests {
    var speakers = ActiveSpeakers(at: .zero)

    static func time(_ milliseconds: UInt64) -> MonotonicTime {
        MonotonicTime.zero.advanced(byMilliseconds: milliseconds)
    }

    /// One window in which `participant` sends `packets` of 20 ms.
    mutating func window(
        endingAt milliseconds: UInt64, participant: Int = 0, packets: Int, attenuation: UInt8
    ) -> [ActiveSpeakers.Change] {
        for _ in 0..<packets {
            speakers.levelReceived(
                AudioLevel(hasVoice: true, attenuation: attenuation), from: participant, milliseconds: 20)
        }
        var changes: [ActiveSpeakers.Change] = []
        speakers.advance(to: Self.time(milliseconds), changes: &changes)
        return changes
    }

    @Test("a loud window raises the level in two steps, and only changes are told")
    mutating func smoothing() {
        speakers.participantJoined(0)
        #expect(window(endingAt: 399, packets: 0, attenuation: 0).isEmpty)
        #expect(
            window(endingAt: 400, packets: 20, attenuation: 0) == [.init(participant: 0, level: 0.75, isActive: true)])
        #expect(
            window(endingAt: 800, packets: 20, attenuation: 0) == [.init(participant: 0, level: 1, isActive: true)])
        #expect(window(endingAt: 1200, packets: 20, attenuation: 0).isEmpty)
        #expect(speakers.speaker(0)?.level == 1)
        #expect(
            window(endingAt: 1600, packets: 0, attenuation: 0) == [.init(participant: 0, level: 0, isActive: false)])
        #expect(speakers.speaker(0) == nil)
        #expect(speakers.nextDeadline == Self.time(2000))
    }

    @Test(
        "40 % of the window must be louder than −35 dBov",
        arguments: [(7, 0, false), (8, 0, true), (20, 36, false), (20, 35, false), (20, 30, true)]
            as [(Int, UInt8, Bool)])
    mutating func thresholds(packets: Int, attenuation: UInt8, isActive: Bool) {
        speakers.participantJoined(0)
        #expect(window(endingAt: 400, packets: packets, attenuation: attenuation).isEmpty != isActive)
    }

    @Test("somebody at the threshold all the time is heard in the end")
    mutating func quiet() {
        speakers.participantJoined(0)
        var told: [ActiveSpeakers.Change] = []
        for index in 1...20 { told += window(endingAt: UInt64(index) * 400, packets: 20, attenuation: 34) }
        #expect(told == [.init(participant: 0, level: 0.125, isActive: true)])
    }

    @Test("participants do not mix; strangers and those who left are ignored")
    mutating func several() {
        speakers.participantJoined(2)
        _ = window(endingAt: 0, participant: 7, packets: 20, attenuation: 0)
        _ = window(endingAt: 0, participant: -1, packets: 20, attenuation: 0)
        _ = window(endingAt: 0, participant: 1, packets: 20, attenuation: 0)
        #expect(window(endingAt: 400, participant: 2, packets: 20, attenuation: 0).map(\.participant) == [2])
        speakers.participantLeft(2)
        speakers.participantLeft(9)
        #expect(speakers.speaker(2) == nil)
        #expect(window(endingAt: 800, participant: 2, packets: 20, attenuation: 0).isEmpty)
    }

    @Test("packets that claim to hold hours count for one window")
    mutating func hostile() {
        speakers.participantJoined(0)
        for _ in 0..<100 {
            speakers.levelReceived(AudioLevel(hasVoice: true, attenuation: 0), from: 0, milliseconds: .max)
        }
        #expect(window(endingAt: 400, packets: 0, attenuation: 0).first?.level == 0.75)
    }
}
