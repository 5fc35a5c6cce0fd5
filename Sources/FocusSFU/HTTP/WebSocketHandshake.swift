// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOHTTP1

/// The server's half of the opening handshake, RFC 6455 §4.2; the client's is in ``WebSocketClientCodec``.
///
/// `permessage-deflate` is declined by leaving `Sec-WebSocket-Extensions` out of the answer: signalling messages are
/// small, a compressor and a window per connection costs more memory than the rest of it, and inflating unbounded input
/// is an attack. Subprotocols are not negotiated either; the clients offer none.
enum WebSocketHandshake {
    /// The value of `Sec-WebSocket-Accept`, or why there is none.
    static func accept(_ request: HTTPRequest, version: HTTPVersion) throws(Fault) -> String {
        guard version == .http1_1 else { throw .version10 }
        guard request.headers["Sec-WebSocket-Version"] == ["13"] else { throw .webSocketVersion }
        let keys = request.headers["Sec-WebSocket-Key"]
        guard keys.count == 1, let key = keys.first, isSixteenBytesOfBase64(key) else { throw .key }
        return acceptance(of: key)
    }

    /// What the server answers to a client's key in `Sec-WebSocket-Accept`.
    static func acceptance(of key: String) -> String {
        base64(sha1(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)))
    }

    enum Fault: Error {
        /// HTTP/1.0 has no upgrade.
        case version10
        /// `Sec-WebSocket-Version` is not exactly `13`.
        case webSocketVersion
        /// `Sec-WebSocket-Key` is missing, repeated, or not 16 bytes of base64.
        case key

        var refusal: HTTPRefusal {
            switch self {
            case .version10, .key: .malformedUpgrade
            case .webSocketVersion: .webSocketVersion
            }
        }

        var response: HTTPResponse {
            switch self {
            case .version10:
                return .text("a WebSocket needs HTTP/1.1", status: .badRequest)
            case .webSocketVersion:
                var response = HTTPResponse.text("Sec-WebSocket-Version must be 13", status: .upgradeRequired)
                response.headers.add(name: "Sec-WebSocket-Version", value: "13")
                response.headers.add(name: "Upgrade", value: "websocket")
                return response
            case .key:
                return .text("Sec-WebSocket-Key must be 16 bytes in base64", status: .badRequest)
            }
        }
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    private static func isSixteenBytesOfBase64(_ key: String) -> Bool {
        let bytes = key.utf8
        return bytes.count == 24 && key.hasSuffix("==") && bytes.dropLast(2).allSatisfy(alphabet.contains)
    }

    static func base64(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let word = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
            for index in 0..<4 {
                let sextet = Int(word >> (18 - 6 * UInt32(index)) & 0x3F)
                text.append(index <= group.count ? alphabet[sextet] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// SHA-1, RFC 3174. Here it only proves that the server read the handshake; it protects nothing.
    static func sha1(_ message: [UInt8]) -> [UInt8] {
        var padded = message
        padded.append(0x80)
        while padded.count % 64 != 56 { padded.append(0) }
        withUnsafeBytes(of: (UInt64(message.count) * 8).bigEndian) { padded.append(contentsOf: $0) }

        var state: [UInt32] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0]
        for block in stride(from: 0, to: padded.count, by: 64) {
            var words = [UInt32](repeating: 0, count: 80)
            for index in 0..<16 {
                words[index] = padded[(block + index * 4)..<(block + index * 4 + 4)].reduce(0) { $0 << 8 | UInt32($1) }
            }
            for index in 16..<80 {
                words[index] = rotate(
                    words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16],
                    by: 1
                )
            }
            var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
            for index in 0..<80 {
                let (mix, constant): (UInt32, UInt32) =
                    switch index {
                    case 0..<20: ((b & c) | (~b & d), 0x5A82_7999)
                    case 20..<40: (b ^ c ^ d, 0x6ED9_EBA1)
                    case 40..<60: ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC)
                    default: (b ^ c ^ d, 0xCA62_C1D6)
                    }
                let next = rotate(a, by: 5) &+ mix &+ e &+ words[index] &+ constant
                (a, b, c, d, e) = (next, a, rotate(b, by: 30), c, d)
            }
            for (index, value) in [a, b, c, d, e].enumerated() { state[index] &+= value }
        }
        return state.flatMap { word in withUnsafeBytes(of: word.bigEndian, Array.init) }
    }

    private static func rotate(_ word: UInt32, by count: UInt32) -> UInt32 {
        word << count | word >> (32 - count)
    }
}
