// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc

/// A participant's signal socket: connects, upgrades and then carries WebSocket messages, never waiting.
///
/// Not on NIO: everything of a load test runs on one thread, so that what the tester costs is one number, and hundreds
/// of joins at once need no hop between threads.
final class SignalSocket {
    enum Event {
        case opened
        case text(String)
        case binary([UInt8])
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
    /// - Parameters:
    ///   - path: of the request, with its query.
    ///   - header: what the protocol adds to the request.
    init(
        to address: ResolvedAddress, authority: String, path: String, header: (name: String, value: String)
    ) throws(SocketError) {
        let descriptor = socket(
            address.family, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketError(call: "socket", errno: errno) }
        self.descriptor = descriptor
        codec = WebSocketClientCodec(nonce: Random.bytes(16))
        output = codec.request(host: authority, path: path, headers: [header])
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

    func send(binary bytes: [UInt8]) {
        send(opcode: 2, bytes)
    }

    func send(text: String) {
        send(opcode: 1, Array(text.utf8))
    }

    private func send(opcode: UInt8, _ payload: [UInt8]) {
        output += WebSocketClientCodec.frame(opcode: opcode, payload, mask: .random(in: .min ... .max))
        flush()
    }

    /// Ends the connection without a word.
    func abandon() {
        hasFailed = true
        shutdown(descriptor, Int32(SHUT_RDWR))
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
        case .binary(let bytes): handle(.binary(bytes))
        case .text(let text): handle(.text(text))
        case .ping(let payload): send(opcode: 10, payload)
        case .closed(let code, let reason):
            fail("the server closed the WebSocket: \(code.map(String.init) ?? "no code") \(reason)", handle)
        }
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
