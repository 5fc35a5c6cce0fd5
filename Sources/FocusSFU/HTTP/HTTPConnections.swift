// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOConcurrencyHelpers
import NIOCore

/// The server's open connections: their number and the memory of their request bodies are bounded, and a shutdown
/// reaches every one of them.
final class HTTPConnections: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var isShuttingDown = false
        var bodyByteCount = 0
    }

    private let limit: Int
    private let bodyMemoryLimit: Int
    private let state = NIOLockedValueBox(State())
    /// Finished when a shutdown has seen the last connection close.
    private let drained: @Sendable () -> Void

    init(limit: Int, bodyMemoryLimit: Int, drained: @escaping @Sendable () -> Void) {
        self.limit = limit
        self.bodyMemoryLimit = bodyMemoryLimit
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

    /// Bytes of the bodies that are held now.
    var bodyByteCount: Int {
        state.withLockedValue { $0.bodyByteCount }
    }

    /// Takes memory for a part of a body; false when all bodies together would exceed their limit.
    func takeBodyMemory(_ byteCount: Int) -> Bool {
        state.withLockedValue { state in
            guard state.bodyByteCount + byteCount <= bodyMemoryLimit else { return false }
            state.bodyByteCount += byteCount
            return true
        }
    }

    func returnBodyMemory(_ byteCount: Int) {
        guard byteCount > 0 else { return }
        state.withLockedValue { $0.bodyByteCount -= byteCount }
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
