// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Dispatch
import NIOConcurrencyHelpers

/// A participant of our own in a call of this focus: sends back what it hears.
///
/// It comes over loopback with a token like any other, on a thread of its own, so that the focus needs no second way in
/// and an echo shows that the ordinary one works.
package final class EchoParticipant: Sendable {
    package struct Plan: Sendable {
        /// Our own HTTP port.
        package var url: SignalURL
        package var token: String
        /// Where our own media port is reached, beside the addresses it offers: those may be the world's, which a
        /// machine behind NAT often cannot reach itself.
        package var mediaAddress: String

        package init(url: SignalURL, token: String, mediaAddress: String = "127.0.0.1") {
            self.url = url
            self.token = token
            self.mediaAddress = mediaAddress
        }
    }

    /// How far it is.
    package struct Progress: Equatable, Sendable {
        package var isConnected = false
        /// Packets sent back.
        package var echoed: UInt64 = 0

        package init() {}
    }

    package enum Ending: Equatable, Sendable {
        case stopped
        /// It was sent away, or could not stay; why, in words.
        case failed(String)
    }

    private struct State {
        var progress = Progress()
        var isStopped = false
    }

    private let plan: Plan
    private let frames: any EchoFrames
    private let state = NIOLockedValueBox(State())

    package init(_ plan: Plan, frames: any EchoFrames = ClearEchoFrames()) {
        self.plan = plan
        self.frames = frames
    }

    package var progress: Progress { state.withLockedValue(\.progress) }

    /// Says goodbye soon; ``run()`` returns then.
    package func stop() {
        state.withLockedValue { $0.isStopped = true }
    }

    /// Joins and sends back until it is stopped or sent away. Called once.
    package func run() async -> Ending {
        await withCheckedContinuation { continuation in
            // It waits on sockets, which no task may do.
            DispatchQueue(label: "callbridge.echo").async { [self] in
                continuation.resume(returning: work())
            }
        }
    }

    private func work() -> Ending {
        do {
            let session = try EchoSession(plan, frames: frames)
            while true {
                if state.withLockedValue(\.isStopped) {
                    session.leave()
                    return .stopped
                }
                if let reason = session.failure { return .failed(reason) }
                session.advance()
                state.withLockedValue { $0.progress = session.progress }
            }
        } catch {
            return .failed("\(error)")
        }
    }
}
