// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOCore
import NIOWebSocket

/// Puts a client's frames together to messages and judges them. RFC 6455 §5. Sans-IO.
struct WebSocketAssembler {
    /// What one frame completed.
    enum Output: Equatable {
        /// A fragment; more to come.
        case nothing
        case message(WebSocketMessage)
        case ping(ByteBuffer)
        case pong
        case close(code: WebSocketCloseCode, reason: String)
    }

    /// Why a frame is refused; the connection ends with ``code``.
    enum Violation: Error, CaseIterable {
        /// A client's frame without a mask, §5.1.
        case unmasked
        /// A reserved bit set although no extension was agreed, §5.2.
        case reservedBits
        /// An opcode that is not defined, §5.2.
        case unknownOpcode
        /// A continuation of nothing, §5.4.
        case continuationWithoutStart
        /// A new message inside a fragmented one, §5.4.
        case interleavedMessage
        /// A control frame that is fragmented or longer than 125 bytes, §5.5.
        case controlFrame
        /// A Close frame with one byte, or with a code that must not be sent, §5.5.1 and §7.4.
        case closePayload
        /// Longer than the limit, as a frame or put together.
        case messageTooLarge
        /// Text or close reason that is not UTF-8, §8.1.
        case invalidText

        var code: WebSocketCloseCode {
            switch self {
            case .messageTooLarge: .messageTooLarge
            case .invalidText: .invalidText
            case .unmasked, .reservedBits, .unknownOpcode, .continuationWithoutStart, .interleavedMessage,
                .controlFrame,
                .closePayload:
                .protocolError
            }
        }

        var refusal: HTTPRefusal {
            switch self {
            case .messageTooLarge: .webSocketMessageTooLarge
            case .invalidText: .webSocketInvalidText
            case .unmasked, .reservedBits, .unknownOpcode, .continuationWithoutStart, .interleavedMessage,
                .controlFrame,
                .closePayload:
                .webSocketProtocolError
            }
        }

        /// Short enough for a Close frame.
        var reason: String {
            switch self {
            case .unmasked: "frame is not masked"
            case .reservedBits: "reserved bit is set"
            case .unknownOpcode: "unknown opcode"
            case .continuationWithoutStart: "continuation without a message"
            case .interleavedMessage: "message inside a fragmented message"
            case .controlFrame: "control frame is fragmented or too long"
            case .closePayload: "malformed close frame"
            case .messageTooLarge: "message is too large"
            case .invalidText: "text is not UTF-8"
            }
        }
    }

    /// The longest message, bytes.
    let limit: Int
    private var partial: (isText: Bool, bytes: ByteBuffer)?

    init(limit: Int) {
        self.limit = limit
    }

    mutating func receive(_ frame: WebSocketFrame) throws(Violation) -> Output {
        guard frame.maskKey != nil else { throw .unmasked }
        guard !frame.rsv1, !frame.rsv2, !frame.rsv3 else { throw .reservedBits }
        let payload = frame.unmaskedData
        switch frame.opcode {
        case .text, .binary:
            guard partial == nil else { throw .interleavedMessage }
            return try append(payload, isText: frame.opcode == .text, isLast: frame.fin)
        case .continuation:
            guard let started = partial else { throw .continuationWithoutStart }
            return try append(payload, isText: started.isText, isLast: frame.fin)
        case .ping, .pong, .connectionClose:
            guard frame.fin, payload.readableBytes <= 125 else { throw .controlFrame }
            if frame.opcode == .ping { return .ping(payload) }
            if frame.opcode == .pong { return .pong }
            return try Self.close(payload)
        default:
            throw .unknownOpcode
        }
    }

    private mutating func append(_ payload: ByteBuffer, isText: Bool, isLast: Bool) throws(Violation) -> Output {
        guard (partial?.bytes.readableBytes ?? 0) + payload.readableBytes <= limit else { throw .messageTooLarge }
        guard isLast, partial == nil else {
            if partial == nil {
                partial = (isText, payload)
            } else {
                partial?.bytes.writeImmutableBuffer(payload)
            }
            guard isLast, let whole = partial else { return .nothing }
            partial = nil
            return .message(try Self.message(whole.bytes, isText: isText))
        }
        return .message(try Self.message(payload, isText: isText))
    }

    private static func message(_ bytes: ByteBuffer, isText: Bool) throws(Violation) -> WebSocketMessage {
        guard isText else { return .binary(Array(bytes.readableBytesView)) }
        guard let text = String(validating: bytes.readableBytesView, as: UTF8.self) else { throw .invalidText }
        return .text(text)
    }

    private static func close(_ payload: ByteBuffer) throws(Violation) -> Output {
        var payload = payload
        guard payload.readableBytes > 0 else { return .close(code: .noStatus, reason: "") }
        guard let code = payload.readInteger(as: UInt16.self).map(WebSocketCloseCode.init), code.isAllowedOnTheWire
        else { throw .closePayload }
        guard let reason = String(validating: payload.readableBytesView, as: UTF8.self) else { throw .invalidText }
        return .close(code: code, reason: reason)
    }
}
