// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Connection quality")
struct ConnectionQualityMeterTests {
    /// What is shown after one interval with such a report.
    private static func quality(loss: UInt8, of packets: UInt32) -> LiveKitConnectionQuality {
        var meter = ConnectionQualityMeter()
        meter.noteLoss(loss, of: packets)
        meter.evaluate(silence: 0)
        return meter.current
    }

    @Test("loss counts when it is of enough packets")
    func fewPackets() {
        #expect(Self.quality(loss: 128, of: 9) == .excellent)
        #expect(Self.quality(loss: 128, of: 10) == .poor)
        #expect(Self.quality(loss: 10, of: 50) == .good)
        #expect(Self.quality(loss: 2, of: 50) == .excellent)
    }

    @Test("a fall shows at once, a recovery has to last, silence is the end")
    func recovery() {
        var meter = ConnectionQualityMeter()
        meter.noteLoss(255, of: 50)
        meter.evaluate(silence: 0)
        #expect(meter.current == .poor)
        var intervals = 0
        while meter.current != .excellent, intervals < 10 {
            meter.evaluate(silence: 0)
            intervals += 1
        }
        #expect(intervals == 3)
        meter.evaluate(silence: ICELiteAgent.disconnectedAfterMilliseconds)
        #expect(meter.current == .lost)
    }

    @Test("a report is of the packets since the last; the first, a repeated and one that falls behind are of none")
    func reports() {
        var progress = ReportProgress()
        #expect(
            [65_000, 65_040, 65_040, 65_600, 65_100, 65_130].map { progress.advance(to: $0) } == [0, 40, 0, 560, 0, 30])
        var wrapping = ReportProgress()
        #expect([.max - 4, 5].map { wrapping.advance(to: $0) } == [0, 10])
    }
}
