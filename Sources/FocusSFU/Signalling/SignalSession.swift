// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOConcurrencyHelpers
import SwiftProtobuf

/// One open signal socket: frames to messages and back, pings answered on the spot, everything else to the worker.
///
/// The socket's event loop calls ``received(_:)`` and ``closed(_:)`` in order; the worker's thread calls ``send(_:)``.
final class SignalSession: WebSocketHandler, SignalSink {
    private struct State {
        /// Follows the client's last frame.
        var usesText = false
        /// Handed to the worker and not taken yet.
        var backlog: SignalBacklog
    }

    private let connection: WebSocketConnection
    private let worker: MediaWorker
    private let state: NIOLockedValueBox<State>

    init(connection: WebSocketConnection, worker: MediaWorker, backlog: SignalBacklog) {
        self.connection = connection
        self.worker = worker
        state = NIOLockedValueBox(State(backlog: backlog))
    }

    // MARK: From the client

    func received(_ message: WebSocketMessage) {
        let request: LiveKitSignalRequest.OneOf_Message
        let byteCount: Int
        do {
            switch message {
            case .binary(let bytes):
                byteCount = bytes.count
                state.withLockedValue { $0.usesText = false }
                request = try SignalCodec.decode(binary: bytes)
            case .text(let text):
                byteCount = text.utf8.count
                state.withLockedValue { $0.usesText = true }
                request = try SignalCodec.decode(text: text)
            }
        } catch SignalCodec.Refusal.empty {
            return worker.signalRefusals.count(.unknownMessage)
        } catch {
            worker.signalRefusals.count(.malformed)
            return connection.close(code: .protocolError, reason: "not a signal message")
        }
        switch request {
        case .ping:
            send(.pong(UnixClock.milliseconds()))
        case .pingReq(let ping):
            var pong = LiveKitPong()
            pong.lastPingTimestamp = ping.timestamp
            pong.timestamp = UnixClock.milliseconds()
            send(.pongResp(pong))
        default:
            forward(request, byteCount)
        }
    }

    private func forward(_ request: LiveKitSignalRequest.OneOf_Message, _ byteCount: Int) {
        guard state.withLockedValue({ $0.backlog.add(byteCount) }) else {
            worker.signalRefusals.count(.flood)
            return connection.close(code: .policyViolation, reason: "too many messages")
        }
        worker.post { [self] worker in
            state.withLockedValue { $0.backlog.remove(byteCount) }
            worker.signalReceived(request, from: self)
        }
    }

    func closed(_ reason: WebSocketCloseReason) {
        worker.post { [self] worker in worker.signalClosed(self) }
    }

    // MARK: To the client

    func send(_ response: LiveKitSignalResponse) {
        if state.withLockedValue({ $0.usesText }) {
            connection.send(text: SignalCodec.encodeText(response))
        } else {
            connection.send(binary: SignalCodec.encode(response))
        }
    }

    func send(_ broadcast: SignalBroadcast) {
        connection.send(state.withLockedValue(\.usesText) ? broadcast.textFrame : broadcast.binaryFrame)
    }

    func close(reason: String) {
        connection.close(code: .normal, reason: reason)
    }

    func abort() {
        connection.close(code: .internalError, reason: "simulated")
    }
}
