// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How good a participant's connection is, from the loss it reports and the loss we see on what it sends.
///
/// Scores run from 0 to 100; rising ones are smoothed more than falling ones, so that a bad moment shows at once and
/// a recovery has to last.
struct ConnectionQualityMeter {
    static let intervalMilliseconds: UInt64 = 5_000

    private(set) var current = LiveKitConnectionQuality.excellent
    private var smoothed: Float = 100
    /// The worst fraction of loss reported since the last evaluation, in 256ths.
    private var worstLoss: UInt8 = 0

    /// As clients show it, up to 4.5.
    var score: Float { smoothed * 4.5 / 100 }

    mutating func noteLoss(_ fraction: UInt8) {
        worstLoss = max(worstLoss, fraction)
    }

    mutating func evaluate(_ participant: Participant) {
        let percent = Float(worstLoss) * 100 / 256
        worstLoss = 0
        // Loss in Opus and video hurts about ten points a percent.
        let now = participant.room.plane.now
        let isSilent =
            now.milliseconds(since: participant.downstream.route.pointee.lastReceivedAt)
            >= ICELiteAgent.disconnectedAfterMilliseconds
        let raw: Float = isSilent ? 0 : max(0, 100 - 10 * percent)
        smoothed += (raw - smoothed) * (raw > smoothed ? 0.4 : 0.8)
        switch smoothed {
        case 80...: current = .excellent
        case 40..<80: current = .good
        case 20..<40: current = .poor
        default: current = participant.client.protocol > 10 ? .lost : .poor
        }
    }
}
