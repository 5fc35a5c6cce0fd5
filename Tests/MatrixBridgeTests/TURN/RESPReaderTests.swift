// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import MatrixBridge

@Suite("Answers of Redis")
struct RESPReaderTests {
    private func replies(_ text: String, pieces size: Int = .max) -> ([RESPReply], isBroken: Bool) {
        var reader = RESPReader()
        var replies: [RESPReply] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: min(size, bytes.count)) {
            reader.receive(Array(bytes[start..<min(bytes.count, start + min(size, bytes.count))]))
            while let reply = reader.next() { replies.append(reply) }
        }
        return (replies, reader.isBroken)
    }

    @Test("all kinds, however the pieces fall", arguments: [1, 2, 5, 100])
    func kinds(size: Int) {
        let text = "+OK\r\n:1\r\n-WRONGPASS no\r\n$3\r\na\r\n\r\n$-1\r\n$0\r\n\r\n"
        #expect(
            replies(text, pieces: size).0 == [
                .status("OK"), .integer(1), .error("WRONGPASS no"), .bulk(Array("a\r\n".utf8)), .bulk(nil), .bulk([]),
            ])
    }

    @Test(
        "what is not an answer ends the reading",
        arguments: [
            "HTTP/1.1 400\r\n", ":x\r\n", "$-2\r\n", "$99999999999\r\n", "$1\r\nabc", "\n", "*1\r\n:1\r\n", "+a\n",
        ])
    func refused(text: String) {
        let (list, isBroken) = replies(text)
        #expect(list.isEmpty && isBroken)
    }

    @Test("an endless line is not kept")
    func endless() {
        #expect(replies("+" + String(repeating: "a", count: RESPReader.byteLimit)).isBroken)
    }

    @Test("a command is an array of bulk strings, counted in bytes")
    func command() {
        #expect(RESPReader.encoded(["SADD", "ü"]) == Array("*2\r\n$4\r\nSADD\r\n$2\r\nü\r\n".utf8))
    }
}
