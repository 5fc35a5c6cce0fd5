// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("When generated packets leave")
struct PacketScheduleTests {
    private static let second: UInt64 = 1_000_000_000

    @Test(
        "frames cover the packets without gap, and a second holds what it should", arguments: [1, 29, 30, 227, 1_000])
    func frames(rate: Int) {
        let schedule = PacketSchedule.video(packetsPerSecond: rate, pacing: .burst)
        var lengths: [UInt64: Int] = [:]
        for packet in 0..<UInt64(rate * 3) {
            let frame = schedule.frame(of: packet)
            lengths[frame, default: 0] += 1
            #expect(schedule.startsFrame(packet) == (packet == 0 || schedule.frame(of: packet - 1) != frame))
            #expect(schedule.endsFrame(packet) == schedule.startsFrame(packet + 1))
        }
        #expect(lengths.count == 3 * min(rate, 30))
        #expect(lengths.values.reduce(0, +) == 3 * rate)
        // None is more than a packet longer than another.
        #expect((lengths.values.max() ?? 0) - (lengths.values.min() ?? 0) <= 1)
    }

    @Test("steady: equal distances")
    func steady() {
        let schedule = PacketSchedule.video(packetsPerSecond: 200, pacing: .steady)
        #expect((0..<5).map { schedule.due($0) } == [0, 5_000_000, 10_000_000, 15_000_000, 20_000_000])
        #expect(schedule.due(200 * 3_600) == 3_600 * Self.second)
    }

    @Test("burst: all packets of a frame at its time")
    func burst() {
        let schedule = PacketSchedule.video(packetsPerSecond: 227, pacing: .burst)
        let dues = (0..<16).map { schedule.due($0) }
        #expect(dues[..<8].allSatisfy { $0 == 0 })
        #expect(dues[8...].allSatisfy { $0 == Self.second / 30 })
        #expect(schedule.due(227) == Self.second)
    }

    @Test("audio: each packet a frame")
    func audio() {
        let schedule = PacketSchedule.audio(packetsPerSecond: 50)
        #expect((0..<4).map { schedule.frame(of: $0) } == [0, 1, 2, 3])
        #expect(schedule.due(3) == 60_000_000)
        #expect(schedule.framesPerSecond == 50)
    }
}
