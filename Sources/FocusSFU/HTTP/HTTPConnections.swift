// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOConcurrencyHelpers
import NIOCore

/// The server's open connections: their number is bounded, and a shutdown reaches every one of them.
final class HTTPConnections: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var isShuttingDown = false
    }

    private let limit: Int
    private let state = NIOLockedValueBox(State())
    /// Finished when a shutdown has seen the last connection close.
    private let drained: @Sendable () -> Void

    init(limit: Int, drained: @escaping @Sendable () -> Void) {
        self.limit = limit
        self.drained = drained
    }

    /// Takes the connection in until it closes, or says why not.
    func admit(_ channel: any Channel) -> HTTPRefusal? {
        let key = ObjectIdentifier(channel)
        let refusal: HTTPRefusal? = state.withLockedValue { state in
            if state.isShuttingDown { return .shuttingDown }
            guard state.channels.count < limit else { return .tooManyConnections }
            state.channels[key] = channel
            return nil
        }
        if refusal == nil {
            channel.closeFuture.whenComplete { _ in self.remove(key) }
        }
        return refusal
    }

    var count: Int {
        state.withLockedValue { $0.channels.count }
    }

    /// Asks every connection to end in its own way: idle ones at once, others after their answer or Close frame.
    func shutDown() {
        let (channels, isFirst) = state.withLockedValue { state in
            defer { state.isShuttingDown = true }
            return (Array(state.channels.values), !state.isShuttingDown)
        }
        guard isFirst else { return }
        for channel in channels {
            channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
        if channels.isEmpty { drained() }
    }

    /// Closes what is still open, without last words, and waits for it.
    func closeAll() async {
        for channel in state.withLockedValue({ Array($0.channels.values) }) {
            channel.close(promise: nil)
            try? await channel.closeFuture.get()
        }
    }

    private func remove(_ key: ObjectIdentifier) {
        let isLast = state.withLockedValue { state in
            state.channels[key] = nil
            return state.isShuttingDown && state.channels.isEmpty
        }
        if isLast { drained() }
    }
}
