// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import OlmE2EE

/// What a leg hears and says, and as whom.
extension LegKeeper {
    /// How long sound may flow while the membership does not stand.
    private static let invisibleMilliseconds: UInt64 = 30_000

    /// Whether the bot has another encrypted device by now.
    func isReplaced(_ device: DeviceID) async -> Bool {
        guard device != clearDevice, let current = await dependencies.keys.device() else { return false }
        return current.device != device
    }

    /// Out of the call for long, it hears nobody until it is back.
    func limitHiddenSound(_ room: RoomID, at now: MonotonicTime) {
        guard let leg = legs[room] else { return }
        guard !leg.membership.isIn else {
            legs[room]?.outSince = nil
            return
        }
        let since = leg.outSince ?? now
        legs[room]?.outSince = since
        guard now.milliseconds(since: since) >= Self.invisibleMilliseconds, let media = leg.media else { return }
        media.stop()
        legs[room]?.media = nil
    }

    func runMedia(_ room: RoomID, _ number: UInt64) async {
        guard let leg = legs[room], leg.number == number else { return }
        let ending: EchoParticipant.Ending
        do {
            let frames: any EchoFrames = if let keys = leg.keys { keys.frames } else { ClearEchoFrames() }
            let media = try await dependencies.entrance.enter(leg.participant, as: user, of: room, frames: frames)
            guard legs[room]?.number == number, legs[room]?.ending == nil else { return }
            legs[room]?.media = media
            ending = await withTaskCancellationHandler {
                await media.run()
            } onCancel: {
                media.stop()
            }
        } catch let refusal as TokenExchangeRefusal {
            ending = .failed(refusal.matrixError.message)
        } catch {
            ending = .failed("\(error)")
        }
        guard legs[room]?.number == number else { return }
        guard case .failed(let reason) = ending else {
            // Stopped while it was out of the call; once it is in again, so is the sound.
            legs[room]?.hasMediaJob = false
            return
        }
        await end(room, .media(reason))
    }
}
