// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How good a participant's connection is, by the loss on what it receives, which it reports, and on what it sends,
/// which we see. The worse of the two counts.
///
/// Scores run from 0 to 100; rising ones are smoothed more than falling ones, so that a bad moment shows at once and
/// a recovery has to last.
struct ConnectionQualityMeter {
    static let intervalMilliseconds: UInt64 = 5_000
    /// Pauses (DTX) leave a few packets a report, of which one is no share to speak of.
    static let leastPackets: UInt32 = 10

    private var smoothed: Float = 100
    /// The worst fraction of loss since the last evaluation, in 256ths.
    private var worstLoss: UInt8 = 0

    var current: LiveKitConnectionQuality {
        switch smoothed {
        case 80...: .excellent
        case 40..<80: .good
        case 20..<40: .poor
        default: .lost
        }
    }

    /// As clients show it, up to 4.5.
    var score: Float { smoothed * 4.5 / 100 }

    /// - Parameters:
    ///   - fraction: of the packets that a report is about, in 256ths.
    ///   - packets: how many these are; of too few nothing is concluded.
    mutating func noteLoss(_ fraction: UInt8, of packets: UInt32) {
        if packets >= Self.leastPackets { worstLoss = max(worstLoss, fraction) }
    }

    /// - Parameter silence: how long nothing has come, milliseconds.
    mutating func evaluate(silence: UInt64) {
        let percent = Float(worstLoss) * 100 / 256
        worstLoss = 0
        // Loss in Opus and video hurts about ten points a percent.
        let isSilent = silence >= ICELiteAgent.disconnectedAfterMilliseconds
        let raw: Float = isSilent ? 0 : max(0, 100 - 10 * percent)
        smoothed += (raw - smoothed) * (raw > smoothed ? 0.4 : 0.8)
    }
}
