// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The client's end of a WebSocket, RFC 6455 §4.1 and §5: bytes of the server in, events out. Sans-IO.
///
/// Send ``request(host:path:headers:)``, give it what the server writes and drain ``nextEvent()`` after each read.
/// After an error nothing more comes.
package struct WebSocketClientCodec: Sendable {
    package enum Event: Equatable, Sendable {
        case opened
        /// The server answered something else than 101.
        case refused(status: Int, body: String)
        case binary([UInt8])
        case text(String)
        case ping([UInt8])
        case closed(code: UInt16?, reason: String)
    }

    package enum Fault: Error, Equatable, Sendable {
        /// Not an HTTP response, or longer than any sensible head.
        case notHTTP
        /// `Sec-WebSocket-Accept` is not what the key asks for.
        case wrongAcceptance
        /// Masked, fragmented control frame, reserved bits, or an opcode that is not defined.
        case malformedFrame
        case messageTooLong
    }

    private static let headLimit = 16_384
    /// Bytes of a refusal's body that are kept.
    private static let bodyLimit = 4_096
    /// Bytes of the longest message: twice what servers send.
    private static let messageLimit = 4 << 20

    private enum State {
        case awaitingHead
        case refused(status: Int, bodyLength: Int?)
        case open
        case over
    }

    private let key: String
    private var state = State.awaitingHead
    private var buffer: [UInt8] = []
    private var offset = 0
    private var partial: (isText: Bool, bytes: [UInt8])?
    private var hasEnded = false

    /// - Parameter nonce: 16 random bytes.
    package init(nonce: [UInt8]) {
        key = WebSocketHandshake.base64(nonce)
    }

    /// The opening request. No extension is offered, so frames come as they are.
    package func request(host: String, path: String, headers: [(name: String, value: String)]) -> [UInt8] {
        var text = "GET \(path) HTTP/1.1\r\nHost: \(host)\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        text += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \(key)\r\n"
        for header in headers { text += "\(header.name): \(header.value)\r\n" }
        return Array((text + "\r\n").utf8)
    }

    /// One frame of a client, final and masked (RFC 6455 §5.3).
    package static func frame(opcode: UInt8, _ payload: [UInt8], mask: UInt32) -> [UInt8] {
        var writer = ByteWriter(reservingCapacity: payload.count + 14)
        writer.write(0x80 | opcode)
        switch payload.count {
        case 0..<126: writer.write(0x80 | UInt8(payload.count))
        case 126..<0x10000:
            writer.write(UInt8(0x80 | 126))
            writer.write(UInt16(payload.count))
        default:
            writer.write(UInt8(0x80 | 127))
            writer.write(UInt64(payload.count))
        }
        writer.write(mask)
        writer.write(
            contentsOf: payload.enumerated().lazy.map { index, byte in
                byte ^ UInt8(truncatingIfNeeded: mask >> (24 - 8 * UInt32(index & 3)))
            })
        return writer.bytes
    }

    package mutating func receive(_ bytes: UnsafeRawBufferPointer) {
        if offset > 0 {
            buffer.removeFirst(offset)
            offset = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The server closed the connection: a refusal without length is complete with it.
    package mutating func end() {
        hasEnded = true
    }

    package mutating func nextEvent() throws(Fault) -> Event? {
        do throws(Fault) {
            return try read()
        } catch {
            state = .over
            throw error
        }
    }

    private mutating func read() throws(Fault) -> Event? {
        while true {
            switch state {
            case .awaitingHead:
                guard let event = try readHead() else { return nil }
                if case .opened = event { return event }
            case .refused(let status, let length):
                let available = buffer.count - offset
                let wanted = min(length ?? .max, Self.bodyLimit)
                guard hasEnded || available >= wanted else { return nil }
                state = .over
                let body = buffer[offset...].prefix(wanted)
                return .refused(status: status, body: String(decoding: body, as: UTF8.self))
            case .open:
                guard let frame = try nextFrame() else { return nil }
                if let event = try event(of: frame) { return event }
            case .over:
                return nil
            }
        }
    }

    // MARK: Opening

    /// `opened`, or an intermediate value when the body of a refusal is to follow.
    private mutating func readHead() throws(Fault) -> Event? {
        guard let end = buffer[offset...].firstRange(of: Array("\r\n\r\n".utf8)) else {
            guard buffer.count - offset <= Self.headLimit, !hasEnded else { throw .notHTTP }
            return nil
        }
        let head = String(decoding: buffer[offset..<end.lowerBound], as: UTF8.self)
        offset = end.upperBound
        var lines = head.split(separator: "\r\n", omittingEmptySubsequences: false)
        let status = lines.removeFirst().split(separator: " ", maxSplits: 2)
        guard status.count >= 2, status[0].hasPrefix("HTTP/1."), let code = Int(status[1]) else { throw .notHTTP }
        func value(_ name: String) -> String? {
            for line in lines {
                guard let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == name else { continue }
                return line[line.index(after: colon)...].drop { $0 == " " }.description
            }
            return nil
        }
        guard code == 101 else {
            state = .refused(status: code, bodyLength: value("content-length").flatMap { Int($0) })
            return .refused(status: code, body: "")
        }
        guard value("sec-websocket-accept") == WebSocketHandshake.acceptance(of: key) else { throw .wrongAcceptance }
        state = .open
        return .opened
    }

    // MARK: Frames

    private struct Frame {
        var isFinal: Bool
        var opcode: UInt8
        var payload: [UInt8]
    }

    private mutating func nextFrame() throws(Fault) -> Frame? {
        let available = buffer.count - offset
        guard available >= 2 else { return nil }
        let (first, second) = (buffer[offset], buffer[offset + 1])
        guard first & 0x70 == 0, second & 0x80 == 0 else { throw .malformedFrame }
        var length = UInt64(second)
        var headerLength = 2
        if second >= 126 {
            headerLength = second == 126 ? 4 : 10
            guard available >= headerLength else { return nil }
            length = buffer[(offset + 2)..<(offset + headerLength)].reduce(0) { $0 << 8 | UInt64($1) }
        }
        guard length <= UInt64(Self.messageLimit) else { throw .messageTooLong }
        let start = offset + headerLength
        guard available >= headerLength + Int(length) else { return nil }
        offset = start + Int(length)
        return Frame(isFinal: first & 0x80 != 0, opcode: first & 0x0F, payload: Array(buffer[start..<offset]))
    }

    private mutating func event(of frame: Frame) throws(Fault) -> Event? {
        switch frame.opcode {
        case 0, 1, 2:
            // A continuation continues something, and nothing else comes in between (§5.4).
            guard (frame.opcode == 0) == (partial != nil) else { throw .malformedFrame }
            var message = partial ?? (frame.opcode == 1, [])
            partial = nil
            guard message.bytes.count + frame.payload.count <= Self.messageLimit else { throw .messageTooLong }
            message.bytes += frame.payload
            guard frame.isFinal else {
                partial = message
                return nil
            }
            return message.isText ? .text(String(decoding: message.bytes, as: UTF8.self)) : .binary(message.bytes)
        case 8:
            state = .over
            let code = frame.payload.count >= 2 ? UInt16(frame.payload[0]) << 8 | UInt16(frame.payload[1]) : nil
            return .closed(code: code, reason: String(decoding: frame.payload.dropFirst(2), as: UTF8.self))
        case 9: return .ping(frame.payload)
        case 10: return nil
        default: throw .malformedFrame
        }
    }
}
