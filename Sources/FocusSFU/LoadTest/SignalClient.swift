// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc
import SwiftProtobuf

/// A participant's signal socket: connects, upgrades and then carries protobuf messages, never waiting.
///
/// Not on NIO: everything of a load test runs on one thread, so that what the tester costs is one number, and hundreds
/// of joins at once need no hop between threads.
final class SignalClient {
    enum Event {
        case opened
        case message(LiveKitSignalResponse.OneOf_Message)
        /// The socket is gone, or never came; why, in words.
        case failed(String)
        case refused(status: Int, body: String)
    }

    let descriptor: Int32
    private var codec: WebSocketClientCodec
    private var output: [UInt8]
    private var sent = 0
    private var hasFailed = false
    /// Why the system takes no more bytes; it tells once, and reading then knows no reason any more.
    private var writeError: Int32 = 0

    /// Begins to connect.
    /// - Parameter path: of the request, with its query.
    init(to address: ResolvedAddress, authority: String, path: String, token: String) throws(SocketError) {
        let descriptor = socket(
            address.family, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketError(call: "socket", errno: errno) }
        self.descriptor = descriptor
        codec = WebSocketClientCodec(nonce: Random.bytes(16))
        output = codec.request(host: authority, path: path, headers: [("Authorization", "Bearer \(token)")])
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        let status = address.bytes.withUnsafeBytes { bytes in
            guard let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return Int32(-1) }
            return connect(descriptor, pointer, socklen_t(bytes.count))
        }
        if status != 0, errno != EINPROGRESS {
            let reason = errno
            close(descriptor)
            throw SocketError(call: "connect", errno: reason)
        }
    }

    deinit {
        close(descriptor)
    }

    func send(_ message: LiveKitSignalRequest.OneOf_Message) {
        var request = LiveKitSignalRequest()
        request.message = message
        guard let bytes: [UInt8] = try? request.serializedBytes() else { return }
        output += WebSocketClientCodec.frame(opcode: 2, bytes, mask: .random(in: .min ... .max))
        flush()
    }

    /// Writes what waits and reads what came; call whenever the socket is readable or writable.
    func advance(_ handle: (Event) -> Void) {
        guard !hasFailed else { return }
        flush()
        var ended = false
        withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 8) { buffer in
            while true {
                let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
                if count > 0 {
                    codec.receive(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                    if count < buffer.count { break }
                } else if count < 0, errno == EINTR {
                    continue
                } else {
                    ended = count == 0 || errno != EAGAIN
                    if ended, count < 0 || writeError != 0 {
                        return fail(Self.text(of: writeError != 0 ? writeError : errno), handle)
                    }
                    break
                }
            }
        }
        guard !hasFailed else { return }
        if ended { codec.end() }
        do throws(WebSocketClientCodec.Fault) {
            while let event = try codec.nextEvent() { take(event, handle) }
        } catch {
            return fail("the server does not speak WebSocket: \(error)", handle)
        }
        if ended { fail("the server closed the connection", handle) }
    }

    private func take(_ event: WebSocketClientCodec.Event, _ handle: (Event) -> Void) {
        guard !hasFailed else { return }
        switch event {
        case .opened: handle(.opened)
        case .refused(let status, let body):
            hasFailed = true
            handle(.refused(status: status, body: body))
        case .binary(let bytes):
            if Self.isOfInterest(bytes), let message = (try? LiveKitSignalResponse(serializedBytes: bytes))?.message {
                handle(.message(message))
            }
        case .text: break
        case .ping(let payload):
            output += WebSocketClientCodec.frame(opcode: 10, payload, mask: .random(in: .min ... .max))
            flush()
        case .closed(let code, let reason):
            fail("the server closed the WebSocket: \(code.map(String.init) ?? "no code") \(reason)", handle)
        }
    }

    /// The fields of `SignalResponse` that a load test acts on: answer, trickle, leave, request_response,
    /// media_sections_requirement. In a room of hundreds all others are many and large, so they are not even decoded.
    private static func isOfInterest(_ message: [UInt8]) -> Bool {
        guard let first = message.first else { return false }
        let tag = first < 0x80 ? UInt16(first) : UInt16(first & 0x7F) | UInt16(message.dropFirst().first ?? 0) << 7
        return [2, 4, 8, 22, 25].contains(tag >> 3)
    }

    private func fail(_ reason: String, _ handle: (Event) -> Void) {
        guard !hasFailed else { return }
        hasFailed = true
        handle(.failed(reason))
    }

    private func flush() {
        while sent < output.count {
            let count = output[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else {
                if errno != EAGAIN { writeError = errno }
                return
            }
            sent += count
        }
        output.removeAll(keepingCapacity: true)
        sent = 0
    }

    private static func text(of error: Int32) -> String {
        String(cString: strerror(error))
    }
}
