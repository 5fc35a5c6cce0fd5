// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import NIOHTTP1
import NIOCore

/// One complete HTTP answer as a value. Length and connection fields are the server's to add.
package struct HTTPResponse: Equatable, Sendable {
    package var status: HTTPResponseStatus
    package var headers: HTTPHeaders
    package var body: [UInt8]

    package init(status: HTTPResponseStatus, headers: HTTPHeaders = [:], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// An answer without a body.
    package static func empty(_ status: HTTPResponseStatus) -> Self {
        Self(status: status)
    }

    /// An answer in plain text, UTF-8.
    package static func text(_ text: String, status: HTTPResponseStatus = .ok) -> Self {
        Self(status: status, headers: ["Content-Type": "text/plain; charset=utf-8"], body: Array(text.utf8))
    }

    /// An answer whose body is an already serialised JSON value.
    package static func json(_ bytes: [UInt8], status: HTTPResponseStatus = .ok) -> Self {
        Self(status: status, headers: ["Content-Type": "application/json"], body: bytes)
    }

    /// The bytes for the wire, RFC 9112 §4.
    ///
    /// Content-Length is written here and `Connection` follows `keepsAlive`, whatever the handler set.
    func encoded(answeringHead: Bool, version: HTTPVersion, keepsAlive: Bool) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(256 + (answeringHead ? 0 : body.count))
        buffer.writeString("HTTP/1.1 \(status.code) ")
        Self.write(status.reasonPhrase, into: &buffer)
        buffer.writeString("\r\n")
        for field in headers where !Self.isFraming(field.name) {
            Self.write(field.name, into: &buffer)
            buffer.writeString(": ")
            Self.write(field.value, into: &buffer)
            buffer.writeString("\r\n")
        }
        if status.mayHaveResponseBody {
            buffer.writeString("Content-Length: \(body.count)\r\n")
        }
        if !keepsAlive {
            buffer.writeString("Connection: close\r\n")
        } else if version == .http1_0 {
            buffer.writeString("Connection: keep-alive\r\n")
        }
        buffer.writeString("\r\n")
        if status.mayHaveResponseBody, !answeringHead {
            buffer.writeBytes(body)
        }
        return buffer
    }

    private static func isFraming(_ name: String) -> Bool {
        switch name.lowercased() {
        case "content-length", "connection", "transfer-encoding": true
        default: false
        }
    }

    /// Control characters become spaces, so that no value taken from a request can start a field or an answer.
    private static func write(_ text: String, into buffer: inout ByteBuffer) {
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) {
            buffer.writeString(text)
        } else {
            buffer.writeBytes(text.utf8.map { $0 >= 0x20 && $0 != 0x7F ? $0 : 0x20 })
        }
    }
}
