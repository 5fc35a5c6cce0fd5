// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Glibc
import SwiftProtobuf

/// The client's end of a signal socket: a blocking upgrade, then frames without waiting.
final class SignalSocket {
    struct Refused: Error {
        var head: String
    }

    let descriptor: Int32
    /// Send JSON in text frames instead of protobuf; the server answers alike.
    var usesText = false
    private(set) var isClosed = false
    private(set) var closeCode: Int?
    private(set) var textFrames = 0
    private var buffered: [UInt8] = []

    init(port: Int, path: String) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var timeout = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw RawHTTPClient.Fault.connect(errno) }
        write(Array(HTTPTestServer.upgrade(path).utf8))
        var head: [UInt8] = []
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            var byte: UInt8 = 0
            guard recv(descriptor, &byte, 1, 0) == 1 else { throw RawHTTPClient.Fault.ended }
            head.append(byte)
        }
        let text = String(decoding: head, as: UTF8.self)
        guard text.hasPrefix("HTTP/1.1 101") else { throw Refused(head: text) }
    }

    deinit {
        close(descriptor)
    }

    /// Cuts the connection without a Close frame, as a network that vanished would.
    func abandon() {
        shutdown(descriptor, Int32(SHUT_RDWR))
        isClosed = true
    }

    func send(_ message: LiveKitSignalRequest.OneOf_Message) {
        var request = LiveKitSignalRequest()
        request.message = message
        if usesText {
            write(RawHTTPClient.frame(1, Array(((try? request.jsonString()) ?? "").utf8)))
        } else {
            write(RawHTTPClient.frame(2, (try? request.serializedBytes()) ?? []))
        }
    }

    func sendRaw(opcode: UInt8, _ payload: [UInt8]) {
        write(RawHTTPClient.frame(opcode, payload))
    }

    /// What has arrived, without waiting.
    func receive() -> [LiveKitSignalResponse.OneOf_Message] {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while !isClosed {
            let count = recv(descriptor, &chunk, chunk.count, Int32(MSG_DONTWAIT))
            guard count > 0 else {
                isClosed = count == 0 || errno != EAGAIN
                break
            }
            buffered += chunk.prefix(count)
        }
        var messages: [LiveKitSignalResponse.OneOf_Message] = []
        while let (opcode, payload) = nextFrame() {
            switch opcode {
            case 1:
                textFrames += 1
                let text = String(decoding: payload, as: UTF8.self)
                if let message = (try? LiveKitSignalResponse(jsonString: text))?.message { messages.append(message) }
            case 2:
                if let message = (try? LiveKitSignalResponse(serializedBytes: payload))?.message {
                    messages.append(message)
                }
            case 8:
                closeCode = payload.count >= 2 ? Int(payload[0]) << 8 | Int(payload[1]) : nil
                write(RawHTTPClient.frame(8, Array(payload.prefix(2))))
                isClosed = true
            case 9:
                write(RawHTTPClient.frame(10, payload))
            default:
                break
            }
        }
        return messages
    }

    private func nextFrame() -> (opcode: UInt8, payload: [UInt8])? {
        guard buffered.count >= 2 else { return nil }
        var start = 2
        var length = Int(buffered[1] & 0x7F)
        if length >= 126 {
            start = length == 126 ? 4 : 10
            guard buffered.count >= start else { return nil }
            length = buffered[2..<start].reduce(0) { $0 << 8 | Int($1) }
        }
        guard buffered.count >= start + length else { return nil }
        defer { buffered.removeFirst(start + length) }
        return (buffered[0] & 0x0F, Array(buffered[start..<start + length]))
    }

    private func write(_ bytes: [UInt8]) {
        var offset = 0
        while offset < bytes.count {
            let count = bytes[offset...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            offset += count
        }
    }
}
