// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How good everybody's connection is.
extension Room {
    func announceQuality() {
        let active = order.filter(\.isActive)
        for participant in active { participant.quality.evaluate(silence: participant.silence) }
        for participant in active { participant.tellQuality() }
    }
}

extension Participant {
    /// How long nothing has come on the connection by which it receives, milliseconds.
    fileprivate var silence: UInt64 {
        room.plane.now.milliseconds(since: downstream.route.pointee.lastReceivedAt)
    }

    /// Tells the client of its own connection and of those whose tracks it receives, once any of them is new to it or
    /// has changed.
    fileprivate func tellQuality() {
        var update = LiveKitConnectionQualityUpdate()
        var told: [String: LiveKitConnectionQuality] = [:]
        for other in [self] + subscriptions.downTracks.map(\.track.publisher) {
            guard other.isActive, told[other.sid] == nil else { continue }
            var info = LiveKitConnectionQualityInfo()
            info.participantSid = other.sid
            info.quality = other.quality.current
            // Older clients do not know the word.
            if info.quality == .lost, client.protocol <= 10 { info.quality = .poor }
            info.score = other.quality.score
            told[other.sid] = info.quality
            update.updates.append(info)
        }
        let hasNews = told.contains { toldQualities[$0.key] != $0.value }
        toldQualities = told
        if hasNews { send(.connectionQuality(update)) }
    }
}
