// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import FocusSFU
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

    package func payload(answering frame: EchoFrame) -> [UInt8]? {
        var payload = frame.payload
        let refusal = echo.withLockedValue { echo -> FrameRefusal? in
            do throws(FrameRefusal) {
                try echo.echo(&payload, from: frame.receivedSSRC, ssrc: frame.ssrc, timestamp: frame.timestamp)
                return nil
            } catch {
                return error
            }
        }
        guard let refusal else { return payload }
        refusals.count(refusal.name)
        return nil
    }
}
