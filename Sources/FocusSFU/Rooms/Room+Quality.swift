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
        var qualities: [String: LiveKitConnectionQuality] = [:]
        var seen: [Participant] = []
        for other in [self] + subscriptions.downTracks.map(\.track.publisher) where other.isActive {
            // Older clients do not know that a connection can be lost.
            let isUnknown = other.quality.current == .lost && client.protocol <= 10
            guard qualities.updateValue(isUnknown ? .poor : other.quality.current, forKey: other.sid) == nil else {
                continue
            }
            seen.append(other)
        }
        let hasNews = qualities.contains { toldQualities[$0.key] != $0.value }
        toldQualities = qualities
        guard hasNews else { return }
        var update = LiveKitConnectionQualityUpdate()
        update.updates = seen.map { other in
            var info = LiveKitConnectionQualityInfo()
            info.participantSid = other.sid
            info.quality = qualities[other.sid] ?? .excellent
            info.score = other.quality.score
            return info
        }
        send(.connectionQuality(update))
    }
}
