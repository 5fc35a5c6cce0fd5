// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import Logging

/// The media of calls.
extension LegacyCallKeeper {
    func take(_ answer: String, _ key: LegacyCallKey) async -> [LegacyCallAction] {
        censuses[key, default: CandidateCensus()].note(description: answer)
        do throws(MirrorRefusal) {
            try await media.take(answer: answer, mirror: Self.mirror(of: key))
            return []
        } catch {
            logger.info(
                "The answer to a one-to-one call cannot be taken",
                metadata: ["matrix.room_id": "\(key.roomID)", "reason": "\(error)"])
            return table.cannotAnswer(key)
        }
    }

    func makeAnswer(to offer: String, _ key: LegacyCallKey) async -> [LegacyCallAction] {
        censuses[key, default: CandidateCensus()].note(description: offer)
        do throws(MirrorRefusal) {
            let answer = try await media.answer(offer, mirror: Self.mirror(of: key))
            return table.answered(
                key, with: .init(sdp: answer.sdp, streamID: answer.streamID), at: clock.unixMilliseconds())
        } catch {
            logger.info(
                "The offer of a one-to-one call cannot be answered",
                metadata: ["matrix.room_id": "\(key.roomID)", "reason": "\(error)"])
            return table.cannotAnswer(key)
        }
    }

    func stopped(_ end: LegacyCallEnd, _ stop: LegacyCallStop) async {
        stops.count(stop)
        logger.info(
            "A one-to-one call ended", metadata: ["matrix.room_id": "\(end.key.roomID)", "reason": "\(stop.rawValue)"])
        await media.end(mirror: Self.mirror(of: end.key))
        let census = censuses.removeValue(forKey: end.key) ?? CandidateCensus()
        if stop.hangup == nil { _ = await post.put(.forget(end)) }
        if stop == .connectionFailed {
            let text = "I answered, but no media connection to you came up. \(census.sentences)"
            _ = await post.put(.text(text, end.key.roomID))
        }
    }
}
