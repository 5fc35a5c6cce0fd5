// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOConcurrencyHelpers
import NIOCore
import NIOWebSocket

/// The sending end of one accepted WebSocket. Callable from any thread; what one thread sends arrives in that order.
///
/// Frames wait in an outbox of bounded size (``HTTPServerConfiguration/webSocketOutboundLimit``) until the event loop
/// writes them. When a peer reads so slowly that the bound would be exceeded, the connection is closed at once and the
/// handler hears ``HTTPRefusal/slowReader``. After the end, or after ``close(code:reason:)``, sending does nothing.
package final class WebSocketConnection: Sendable {
    /// The IP address of the socket's peer.
    package let remoteAddress: String

    private let channel: any Channel
    private let outboundLimit: Int
    private let outbox = NIOLockedValueBox(Outbox())

    init(channel: any Channel, remoteAddress: String, outboundLimit: Int) {
        self.channel = channel
        self.remoteAddress = remoteAddress
        self.outboundLimit = outboundLimit
    }

    /// A whole message as it goes over the wire, for sending it to many.
    package struct Frame: Sendable {
        fileprivate let bytes: ByteBuffer

        package init(binary bytes: [UInt8]) {
            self.bytes = WebSocketConnection.frame(.binary, bytes)
        }

        package init(text: String) {
            bytes = WebSocketConnection.frame(.text, Array(text.utf8))
        }
    }

    /// Sends one message.
    package func send(_ message: Frame) {
        enqueue(message.bytes)
    }

    /// Sends one binary message.
    package func send(binary bytes: [UInt8]) {
        send(Frame(binary: bytes))
    }

    /// Sends one text message.
    package func send(text: String) {
        send(Frame(text: text))
    }

    /// Sends what is waiting, then a Close frame, then waits a bounded time for the peer's and closes the socket.
    ///
    /// The reason is cut to the 123 bytes that fit into a Close frame.
    package func close(code: WebSocketCloseCode = .normal, reason: String = "") {
        let reason = Self.closeReason(reason)
        enqueue(
            Self.frame(.connectionClose, Self.closePayload(code: code, reason: reason)), isClose: true,
            ending: (code, reason))
    }

    /// Stops taking messages from the peer; what has been read already may still be delivered.
    package func pauseReading() {
        channel.triggerUserOutboundEvent(Wake.pauseReading, promise: nil)
    }

    /// Takes messages from the peer again.
    package func resumeReading() {
        channel.triggerUserOutboundEvent(Wake.resumeReading, promise: nil)
    }

    /// Bytes handed in, headers included, that the socket has not taken yet.
    package var pendingByteCount: Int {
        outbox.withLockedValue { $0.byteCount }
    }

    // MARK: - For the channel handler

    /// What the connection tells its channel handler, as an outbound user event.
    enum Wake: Sendable {
        case framesWaiting
        case overflow
        case pauseReading
        case resumeReading
    }

    /// Frames to be written now.
    struct Batch {
        var frames: [ByteBuffer]
        var byteCount: Int
        /// Set when the last of ``frames`` is the Close frame of a local close.
        var ending: (code: WebSocketCloseCode, reason: String)?
    }

    func takeBatch() -> Batch {
        outbox.withLockedValue { outbox in
            outbox.isWakeSent = false
            defer {
                outbox.frames = []
                outbox.frameByteCount = 0
                outbox.ending = nil
            }
            return Batch(frames: outbox.frames, byteCount: outbox.frameByteCount, ending: outbox.ending)
        }
    }

    /// The socket took `byteCount` bytes of earlier batches.
    func wrote(byteCount: Int) {
        outbox.withLockedValue { $0.byteCount -= byteCount }
    }

    func sendControl(_ opcode: WebSocketOpcode, _ payload: [UInt8]) {
        enqueue(Self.frame(opcode, payload))
    }

    /// Sends a Close frame that answers the peer or refuses it; nothing can be sent behind it.
    func sendLast(code: WebSocketCloseCode, reason: String) {
        let payload = code == .noStatus ? [] : Self.closePayload(code: code, reason: Self.closeReason(reason))
        enqueue(Self.frame(.connectionClose, payload), isClose: true)
    }

    /// The channel is gone: nothing will be written any more.
    func closed() {
        outbox.withLockedValue { outbox in
            outbox.isOpen = false
            outbox.frames = []
            outbox.frameByteCount = 0
        }
    }

    // MARK: - Outbox

    private struct Outbox {
        var isOpen = true
        var isWakeSent = false
        var frames: [ByteBuffer] = []
        var frameByteCount = 0
        /// Of ``frames`` and of what the channel has not written yet.
        var byteCount = 0
        var ending: (code: WebSocketCloseCode, reason: String)?
    }

    private func enqueue(
        _ frame: ByteBuffer,
        isClose: Bool = false,
        ending: (code: WebSocketCloseCode, reason: String)? = nil
    ) {
        let wake: Wake? = outbox.withLockedValue { outbox in
            guard outbox.isOpen else { return nil }
            guard outbox.byteCount + frame.readableBytes <= outboundLimit else {
                outbox.isOpen = false
                return .overflow
            }
            outbox.frames.append(frame)
            outbox.frameByteCount += frame.readableBytes
            outbox.byteCount += frame.readableBytes
            if isClose {
                outbox.isOpen = false
                outbox.ending = ending
            }
            guard !outbox.isWakeSent else { return nil }
            outbox.isWakeSent = true
            return .framesWaiting
        }
        if let wake {
            channel.triggerUserOutboundEvent(wake, promise: nil)
        }
    }

    /// A final, unmasked frame, RFC 6455 §5.2.
    private static func frame(_ opcode: WebSocketOpcode, _ payload: [UInt8]) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(payload.count + 10)
        buffer.writeInteger(0x80 | UInt8(webSocketOpcode: opcode))
        switch payload.count {
        case ..<126:
            buffer.writeInteger(UInt8(truncatingIfNeeded: payload.count))
        case ..<65_536:
            buffer.writeInteger(UInt8(126))
            buffer.writeInteger(UInt16(truncatingIfNeeded: payload.count))
        default:
            buffer.writeInteger(UInt8(127))
            buffer.writeInteger(UInt64(payload.count))
        }
        buffer.writeBytes(payload)
        return buffer
    }

    private static func closePayload(code: WebSocketCloseCode, reason: String) -> [UInt8] {
        [UInt8(truncatingIfNeeded: code.rawValue >> 8), UInt8(truncatingIfNeeded: code.rawValue)] + reason.utf8
    }

    /// The longest prefix of whole characters that fits beside the code, RFC 6455 §5.5.
    private static func closeReason(_ reason: String) -> String {
        var reason = reason
        while reason.utf8.count > 123 { reason.removeLast() }
        return reason
    }
}
