// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import NIOConcurrencyHelpers
package import OlmE2EE

/// The frames of a leg in an encrypted call, on their way from its members' keys to ours. Keys and frames may come from
/// any thread.
package final class SealedEchoFrames: EchoFrames {
    private let echo: NIOLockedValueBox<FrameEcho>
    /// Frames that went no further, by ``FrameRefusal/name``.
    package let refusals: Tally<String>

    package init(refusals: Tally<String> = Tally()) {
        echo = NIOLockedValueBox(FrameEcho { UInt32.random(in: 0...UInt32.max) })
        self.refusals = refusals
    }

    package var areSealed: Bool { true }

    package func joined(serverTrailer: [UInt8]) {
        echo.withLockedValue { $0.serverFrames = ServerFrames(trailer: serverTrailer) }
    }

    /// Seals with this key from now on.
    package func use(_ key: NumberedMediaKey) {
        echo.withLockedValue { $0.use(key) }
    }

    /// Opens frames of a participant with this key, too.
    package func install(_ key: NumberedMediaKey, of identity: String) {
        do {
            try echo.withLockedValue { try $0.install(key, of: identity) }
        } catch {
            refusals.count(FrameRefusal.cipher.name)
        }
    }

    /// Opens no frame of that participant any more.
    package func forget(_ identity: String) {
        echo.withLockedValue { $0.forget(identity) }
    }

    package func hears(_ streams: Set<UInt32>) {
        echo.withLockedValue { $0.keep(streams) }
    }

    package func open(_ payload: [UInt8], from ssrc: UInt32) -> [UInt8]? {
        counting { echo throws(FrameRefusal) in try echo.open(payload, from: ssrc) }
    }

    package func seal(_ frame: [UInt8], as ssrc: UInt32, at timestamp: UInt32) -> [UInt8]? {
        counting { echo throws(FrameRefusal) in try echo.seal(frame, as: ssrc, at: timestamp) }
    }

    private func counting(_ work: (inout FrameEcho) throws(FrameRefusal) -> [UInt8]) -> [UInt8]? {
        let result = echo.withLockedValue { echo -> Result<[UInt8], FrameRefusal> in
            do throws(FrameRefusal) {
                return .success(try work(&echo))
            } catch {
                return .failure(error)
            }
        }
        switch result {
        case .success(let frame): return frame
        case .failure(let refusal):
            refusals.count(refusal.name)
            return nil
        }
    }
}
