// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc

/// A blocking TCP client for loopback that sends exactly the bytes it is told to.
///
/// Its receive timeout only keeps a failing test from hanging.
final class RawHTTPClient {
    enum Fault: Error {
        case connect(Int32)
        case ended
        case timeout
        case malformed(String)
    }

    struct Response {
        var status: Int
        var fields: [(name: String, value: String)]
        var body: [UInt8]

        var text: String { String(decoding: body, as: UTF8.self) }

        func values(_ name: String) -> [String] {
            fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
        }
    }

    struct Frame: Equatable {
        var isFinal: Bool
        var opcode: UInt8
        var payload: [UInt8]

        static func close(_ code: UInt16, _ reason: String = "") -> Frame {
            Frame(isFinal: true, opcode: 8, payload: [UInt8(code >> 8), UInt8(code & 0xFF)] + reason.utf8)
        }

        var closeCode: Int? {
            opcode == 8 && payload.count >= 2 ? Int(payload[0]) << 8 | Int(payload[1]) : nil
        }
    }

    private var descriptor: Int32
    private var buffered: [UInt8] = []

    init(port: Int, receiveBuffer: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var timeout = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        if var size = receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw Fault.connect(errno) }
    }

    deinit { close() }

    func close() {
        guard descriptor >= 0 else { return }
        Glibc.close(descriptor)
        descriptor = -1
    }

    /// Closes with a reset instead of an orderly end.
    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    func endOutput() {
        shutdown(descriptor, Int32(SHUT_WR))
    }

    func send(_ text: String) {
        send(Array(text.utf8))
    }

    /// Errors are left to the next read: a server may close while we still send.
    func send(_ bytes: [UInt8]) {
        var offset = 0
        while offset < bytes.count {
            let count = bytes[offset...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            offset += count
        }
    }

    func readResponse(toHead: Bool = false) throws -> Response {
        var head: [UInt8] = []
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) { head.append(try readByte()) }
        var lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
        let statusLine = lines.removeFirst().split(separator: " ", maxSplits: 2)
        guard statusLine.count >= 2, statusLine[0] == "HTTP/1.1", let status = Int(statusLine[1]) else {
            throw Fault.malformed(String(decoding: head, as: UTF8.self))
        }
        let fields = lines.map { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            return (name: String(parts[0]), value: String(parts.last?.drop { $0 == " " } ?? ""))
        }
        var response = Response(status: status, fields: fields, body: [])
        if !toHead, let length = response.values("Content-Length").first.flatMap(Int.init) {
            response.body = try read(length)
        }
        return response
    }

    func sendFrame(
        _ opcode: UInt8,
        _ payload: [UInt8] = [],
        isFinal: Bool = true,
        reserved: UInt8 = 0,
        isMasked: Bool = true
    ) {
        send(Self.frame(opcode, payload, isFinal: isFinal, reserved: reserved, isMasked: isMasked))
    }

    static func frame(
        _ opcode: UInt8,
        _ payload: [UInt8] = [],
        isFinal: Bool = true,
        reserved: UInt8 = 0,
        isMasked: Bool = true
    ) -> [UInt8] {
        var bytes: [UInt8] = [(isFinal ? 0x80 : 0) | reserved << 4 | opcode]
        let mask: UInt8 = isMasked ? 0x80 : 0
        switch payload.count {
        case ..<126: bytes.append(mask | UInt8(payload.count))
        case ..<65_536: bytes += [mask | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        default: bytes += [mask | 127] + (0..<8).reversed().map { UInt8(payload.count >> ($0 * 8) & 0xFF) }
        }
        guard isMasked else { return bytes + payload }
        let key: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
        return bytes + key + payload.enumerated().map { $1 ^ key[$0 % 4] }
    }

    func readFrame() throws -> Frame {
        let first = try readByte()
        let second = try readByte()
        guard second & 0x80 == 0 else { throw Fault.malformed("a server's frame is masked") }
        var length = Int(second & 0x7F)
        if length >= 126 {
            length = try read(length == 126 ? 2 : 8).reduce(0) { $0 << 8 | Int($1) }
        }
        return Frame(isFinal: first & 0x80 != 0, opcode: first & 0x0F, payload: try read(length))
    }

    /// Everything up to the end of the connection, orderly or not.
    func readToEnd() throws -> [UInt8] {
        while try fill() {}
        defer { buffered = [] }
        return buffered
    }

    private func read(_ count: Int) throws -> [UInt8] {
        while buffered.count < count {
            guard try fill() else { throw Fault.ended }
        }
        defer { buffered.removeFirst(count) }
        return Array(buffered.prefix(count))
    }

    private func readByte() throws -> UInt8 {
        try read(1)[0]
    }

    private func fill() throws -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        if count < 0, errno == EAGAIN { throw Fault.timeout }
        guard count > 0 else { return false }
        buffered += chunk.prefix(count)
        return true
    }
}
