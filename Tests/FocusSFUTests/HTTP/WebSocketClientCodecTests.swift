// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("The client's end of a WebSocket, RFC 6455")
struct WebSocketClientCodecTests {
    /// The example of RFC 6455 §1.3.
    private static let nonce = Array("the sample nonce".utf8)
    private static let opening =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

    private var codec = WebSocketClientCodec(nonce: nonce)

    private mutating func events(_ bytes: [UInt8]) throws -> [WebSocketClientCodec.Event] {
        bytes.withUnsafeBytes { codec.receive($0) }
        return try drain()
    }

    private mutating func drain() throws -> [WebSocketClientCodec.Event] {
        var found: [WebSocketClientCodec.Event] = []
        while let event = try codec.nextEvent() { found.append(event) }
        return found
    }

    /// A frame of a server: not masked.
    private static func frame(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
        [first, UInt8(payload.count)] + payload
    }

    @Test("the request asks for an upgrade with the key")
    func request() {
        let request = codec.request(
            host: "example.org:7880", path: "/rtc?x=1", headers: [("Authorization", "Bearer t")])
        let lines = String(decoding: request, as: UTF8.self).split(separator: "\r\n")
        #expect(lines.first == "GET /rtc?x=1 HTTP/1.1")
        #expect(lines.contains("Host: example.org:7880"))
        #expect(lines.contains("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
        #expect(lines.contains("Authorization: Bearer t"))
        #expect(request.suffix(4) == Array("\r\n\r\n".utf8)[...])
    }

    @Test("opening, messages, fragments and pings, whatever the pieces they come in", arguments: [1, 2, 7, 10_000])
    mutating func stream(piece: Int) throws {
        let long = [UInt8](repeating: 7, count: 300)
        var bytes = Array(Self.opening.utf8)
        bytes += Self.frame(0x82, [1, 2, 3])
        bytes += Self.frame(0x02, [4]) + Self.frame(0x89, [9]) + Self.frame(0x80, [5])
        bytes += [0x82, 126, 1, 44] + long
        bytes += Self.frame(0x8A, []) + Self.frame(0x81, Array("text".utf8))
        bytes += Self.frame(0x88, [0x03, 0xE8] + Array("bye".utf8))
        var found: [WebSocketClientCodec.Event] = []
        for start in stride(from: 0, to: bytes.count, by: piece) {
            found += try events(Array(bytes[start..<min(start + piece, bytes.count)]))
        }
        #expect(
            found == [
                .opened, .binary([1, 2, 3]), .ping([9]), .binary([4, 5]), .binary(long), .text("text"),
                .closed(code: 1_000, reason: "bye"),
            ])
    }

    @Test("a refusal comes with its body, by length or by the end of the connection")
    mutating func refusal() throws {
        let head = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 15\r\n\r\n"
        #expect(try events(Array((head + "invalid ").utf8)).isEmpty)
        #expect(try events(Array("API key".utf8)) == [.refused(status: 401, body: "invalid API key")])

        var other = WebSocketClientCodec(nonce: Self.nonce)
        Array("HTTP/1.0 503 Busy\r\n\r\nfull".utf8).withUnsafeBytes { other.receive($0) }
        #expect(try other.nextEvent() == nil)
        other.end()
        #expect(try other.nextEvent() == .refused(status: 503, body: "full"))
        #expect(try other.nextEvent() == nil)
    }

    @Test(
        "what is no WebSocket is refused",
        arguments: [
            ("SSH-2.0-server\r\n\r\n", WebSocketClientCodec.Fault.notHTTP),
            (opening.replacing("s3pP", with: "s3pQ"), .wrongAcceptance),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", .wrongAcceptance),
            (String(repeating: "x", count: 20_000), .notHTTP),
        ])
    mutating func notAWebSocket(_ text: String, _ fault: WebSocketClientCodec.Fault) {
        #expect(throws: fault) { try events(Array(text.utf8)) }
    }

    @Test(
        "frames against the rules end it",
        arguments: [
            [0x82, 0x80, 0, 0, 0, 0], [0xC2, 0], [0x83, 0], [0x80, 0], [0x02, 0, 0x82, 0],
        ] as [[UInt8]])
    mutating func malformed(_ bytes: [UInt8]) throws {
        #expect(try events(Array(Self.opening.utf8)) == [.opened])
        #expect(throws: WebSocketClientCodec.Fault.malformedFrame) { try events(bytes) }
        #expect(try codec.nextEvent() == nil)
    }

    @Test("a message longer than any server's is not waited for")
    mutating func tooLong() throws {
        _ = try events(Array(Self.opening.utf8))
        #expect(throws: WebSocketClientCodec.Fault.messageTooLong) {
            try events([0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0])
        }
    }

    @Test("frames of ours are final and masked", arguments: [0, 1, 125, 126, 65_535, 65_536])
    func frame(length: Int) {
        let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
        let frame = WebSocketClientCodec.frame(opcode: 2, payload, mask: 0x0102_0304)
        #expect(frame[0] == 0x82)
        #expect(frame[1] & 0x80 != 0)
        let start = frame.count - length
        #expect(Array(frame[(start - 4)..<start]) == [1, 2, 3, 4])
        let unmasked = frame[start...].enumerated().map { $0.element ^ UInt8($0.offset & 3 + 1) }
        #expect(unmasked == payload)
        #expect(start == (length < 126 ? 6 : length < 65_536 ? 8 : 14))
    }
}
