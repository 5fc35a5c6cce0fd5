// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// An answer of a Redis server, as far as the commands here have one (RESP2).
enum RESPReply: Equatable, Sendable {
    case status(String)
    case error(String)
    case integer(Int64)
    /// Nil is the null bulk string.
    case bulk([UInt8]?)
}

/// Reads the answers of a Redis server from a stream. Holds at most ``byteLimit`` bytes.
struct RESPReader: Sendable {
    /// No answer here is longer than an error's line.
    static let byteLimit = 64 << 10

    private var pending: [UInt8] = []
    /// What came is not RESP, or is too long.
    private(set) var isBroken = false

    mutating func receive(_ bytes: [UInt8]) {
        guard !isBroken else { return }
        pending += bytes
        if pending.count > Self.byteLimit { fail() }
    }

    /// The next whole answer; nil while there is none.
    mutating func next() -> RESPReply? {
        guard !isBroken, let kind = pending.first, let lineEnd = pending.firstIndex(of: UInt8(ascii: "\n")) else {
            return nil
        }
        guard lineEnd >= 2, pending[lineEnd - 1] == UInt8(ascii: "\r") else { return fail() }
        let line = String(decoding: pending[1..<lineEnd - 1], as: UTF8.self)
        var end = lineEnd + 1
        let reply: RESPReply
        switch kind {
        case UInt8(ascii: "+"): reply = .status(line)
        case UInt8(ascii: "-"): reply = .error(line)
        case UInt8(ascii: ":"):
            guard let number = Int64(line) else { return fail() }
            reply = .integer(number)
        case UInt8(ascii: "$"):
            guard let count = Int(line), (-1...Self.byteLimit).contains(count) else { return fail() }
            if count == -1 {
                reply = .bulk(nil)
            } else {
                guard pending.count >= end + count + 2 else { return nil }
                guard Array(pending[end + count..<end + count + 2]) == Array("\r\n".utf8) else { return fail() }
                reply = .bulk(Array(pending[end..<end + count]))
                end += count + 2
            }
        default:
            return fail()
        }
        pending.removeFirst(end)
        return reply
    }

    @discardableResult
    private mutating func fail() -> RESPReply? {
        isBroken = true
        pending = []
        return nil
    }

    /// A command as an array of bulk strings.
    static func encoded(_ words: [String]) -> [UInt8] {
        words.reduce(into: Array("*\(words.count)\r\n".utf8)) { bytes, word in
            bytes += Array("$\(word.utf8.count)\r\n".utf8) + Array(word.utf8) + Array("\r\n".utf8)
        }
    }
}
