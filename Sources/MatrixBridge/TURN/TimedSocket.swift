// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CResolv
import Glibc

/// Why a socket could not be used.
enum SocketFault: Error, Equatable, Sendable, CustomStringConvertible {
    case unknownHost(String)
    case failed(String)
    case timedOut
    /// The other side closed it.
    case ended

    var description: String {
        switch self {
        case .unknownHost(let reason): "the name cannot be resolved (\(reason))"
        case .failed(let reason): reason
        case .timedOut: "no answer in time"
        case .ended: "the other side closed the connection"
        }
    }
}

/// A connected UDP or TCP socket in which nothing but the look-up of its name lasts beyond a deadline.
final class TimedSocket {
    enum Kind: Sendable { case datagram, stream }

    let descriptor: Int32

    /// Connects to the first address of the host that takes it.
    init(host: String, port: UInt16, kind: Kind, by deadline: Deadline) throws(SocketFault) {
        Self.ignoresBrokenPipes
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = kind == .datagram ? CResolv_datagram : CResolv_stream
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        guard code == 0, let list else { throw .unknownHost(String(cString: gai_strerror(code))) }
        defer { freeaddrinfo(list) }
        var outcome = Result<Int32, SocketFault>.failure(.unknownHost("no address"))
        for entry in sequence(first: list, next: { $0.pointee.ai_next }) {
            outcome = Result { () throws(SocketFault) in try Self.connected(to: entry.pointee, by: deadline) }
            if case .success = outcome { break }
        }
        descriptor = try outcome.get()
    }

    deinit { close(descriptor) }

    private static let ignoresBrokenPipes: Void = { signal(SIGPIPE, SIG_IGN) }()

    private static func connected(to entry: addrinfo, by deadline: Deadline) throws(SocketFault) -> Int32 {
        let descriptor = socket(entry.ai_family, entry.ai_socktype | CResolv_nonBlocking, entry.ai_protocol)
        guard descriptor >= 0 else { throw .failed(String(cString: strerror(errno))) }
        var code = connect(descriptor, entry.ai_addr, entry.ai_addrlen) == 0 ? 0 : errno
        if code == EINPROGRESS {
            guard deadline.wait(for: descriptor, toWrite: true) else {
                close(descriptor)
                throw .timedOut
            }
            var length = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
        }
        guard code == 0 else {
            close(descriptor)
            throw .failed(String(cString: strerror(code)))
        }
        return descriptor
    }

    func write(_ bytes: [UInt8], by deadline: Deadline) throws(SocketFault) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                guard deadline.wait(for: descriptor, toWrite: true) else { throw .timedOut }
            } else if errno != EINTR {
                throw .failed(String(cString: strerror(errno)))
            }
        }
    }

    /// What has come, a whole datagram or a piece of the stream, at most 64 KiB.
    func read(by deadline: Deadline) throws(SocketFault) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
            if count > 0 { return Array(buffer.prefix(count)) }
            if count == 0 { throw .ended }
            if errno == EAGAIN {
                guard deadline.wait(for: descriptor, toWrite: false) else { throw .timedOut }
            } else if errno != EINTR {
                throw .failed(String(cString: strerror(errno)))
            }
        }
    }
}
