// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOHTTP1
import Testing

@testable import FocusSFU

@Suite("WebSocket connections, RFC 6455")
struct WebSocketChannelHandlerTests {
    private typealias Frame = RawHTTPClient.Frame

    @Test("an upgrade on the second request of a connection; the extension offered is not echoed")
    func upgradeLater() async throws {
        let log = WebSocketRecorder.Log()
        try await HTTPTestServer.run(.webSocket(log)) { test in
            let client = try test.client()
            client.send(HTTPTestServer.get("/"))
            #expect(try client.readResponse().text == "OK")
            client.send(HTTPTestServer.upgrade("//rtc"))
            let response = try client.readResponse()
            #expect(response.status == 101)
            #expect(response.values("Sec-WebSocket-Accept") == ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="])
            #expect(response.values("Sec-WebSocket-Extensions").isEmpty)
            client.sendFrame(2, [1, 2, 3])
            #expect(try client.readFrame() == Frame(isFinal: true, opcode: 2, payload: [1, 2, 3]))
            client.sendFrame(1, Array("é".utf8))
            #expect(try client.readFrame() == Frame(isFinal: true, opcode: 1, payload: Array("é".utf8)))
        }
    }

    @Test("a refused upgrade is an ordinary answer, and the connection goes on to the next request and upgrade")
    func refusedUpgrade() async throws {
        let log = WebSocketRecorder.Log()
        try await HTTPTestServer.run(.webSocket(log)) { test in
            let client = try test.client()
            for _ in 0..<3 {
                client.send(HTTPTestServer.upgrade("/rtc?refuse=permissions%20denied"))
                let refused = try client.readResponse()
                #expect(refused.status == 401)
                #expect(refused.text == "permissions denied")
                #expect(refused.values("Access-Control-Allow-Origin") == ["*"])
                client.send(HTTPTestServer.get("/"))
                #expect(try client.readResponse().text == "OK")
            }
            #expect(test.server.refusals[.upgradeRefused] == 3)
            client.send(HTTPTestServer.upgrade("/rtc?refuse=1") + HTTPTestServer.upgrade("/rtc"))
            #expect(try client.readResponse().status == 401)
            #expect(try client.readResponse().status == 101)
            client.sendFrame(2, [7])
            #expect(try client.readFrame().payload == [7])
        }
    }

    @Test("a handshake that is not well-formed is answered without asking the route")
    func malformedHandshake() async throws {
        let log = WebSocketRecorder.Log()
        try await HTTPTestServer.run(.webSocket(log)) { test in
            let client = try test.client()
            client.send(HTTPTestServer.upgrade("/rtc", version: "8"))
            let version = try client.readResponse()
            #expect(version.status == 426)
            #expect(version.values("Sec-WebSocket-Version") == ["13"])
            client.send(HTTPTestServer.upgrade("/rtc", key: "short"))
            #expect(try client.readResponse().status == 400)
            client.send(HTTPTestServer.upgrade("/unknown"))
            #expect(try client.readResponse().status == 404)
            client.send(HTTPTestServer.get("/rtc"))
            let plain = try client.readResponse()
            #expect(plain.status == 404)
            #expect(plain.body.isEmpty)
            #expect(test.server.refusals[.webSocketVersion] == 1)
            #expect(test.server.refusals[.malformedUpgrade] == 1)
        }
    }

    @Test("frames sent right behind the request are not lost")
    func eagerFrames() async throws {
        let log = WebSocketRecorder.Log()
        try await HTTPTestServer.run(.webSocket(log)) { test in
            let client = try test.client()
            client.send(
                Array(HTTPTestServer.upgrade("/rtc").utf8) + RawHTTPClient.frame(2, [1]) + RawHTTPClient.frame(2, [2]))
            #expect(try client.readResponse().status == 101)
            #expect(try client.readFrame().payload == [1])
            #expect(try client.readFrame().payload == [2])
        }
    }

    @Test("a fragmented message with a ping between; the ping is answered first")
    func fragments() async throws {
        let log = WebSocketRecorder.Log()
        try await HTTPTestServer.run(.webSocket(log)) { test in
            let client = try test.webSocket()
            client.sendFrame(1, Array("ab".utf8), isFinal: false)
            client.sendFrame(9, [42])
            client.sendFrame(0, Array("cd".utf8), isFinal: false)
            client.sendFrame(0)
            #expect(try client.readFrame() == Frame(isFinal: true, opcode: 10, payload: [42]))
            #expect(try client.readFrame().payload == Array("abcd".utf8))
            #expect(log.next() == .message(.text("abcd")))
        }
    }

    @Test("messages of every length form pass both ways", arguments: [0, 125, 126, 65_535, 65_536, 1024 * 1024])
    func lengths(count: Int) async throws {
        let log = WebSocketRecorder.Log()
        try await HTTPTestServer.run(.webSocket(log)) { test in
            let client = try test.webSocket()
            client.sendFrame(2, [UInt8](repeating: 5, count: count))
            #expect(try client.readFrame().payload.count == count)
        }
    }

    struct Offence: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var bytes: [UInt8]
        var code: Int
        var refusal: HTTPRefusal
    }

    static let offences: [Offence] = [
        Offence(
            testDescription: "unmasked",
            bytes: RawHTTPClient.frame(2, [1], isMasked: false),
            code: 1002,
            refusal: .webSocketProtocolError
        ),
        Offence(
            testDescription: "reserved bit",
            bytes: RawHTTPClient.frame(2, [1], reserved: 4),
            code: 1002,
            refusal: .webSocketProtocolError
        ),
        Offence(
            testDescription: "long ping",
            bytes: RawHTTPClient.frame(9, [UInt8](repeating: 0, count: 126)),
            code: 1002,
            refusal: .webSocketProtocolError
        ),
        Offence(
            testDescription: "fragmented ping",
            bytes: RawHTTPClient.frame(9, [], isFinal: false),
            code: 1002,
            refusal: .webSocketProtocolError
        ),
        Offence(
            testDescription: "continuation of nothing",
            bytes: RawHTTPClient.frame(0, [1]),
            code: 1002,
            refusal: .webSocketProtocolError
        ),
        Offence(
            testDescription: "text that is not UTF-8",
            bytes: RawHTTPClient.frame(1, [0xC0, 0x80]),
            code: 1007,
            refusal: .webSocketInvalidText
        ),
        Offence(
            testDescription: "a frame over the limit, announced only",
            bytes: [0x82, 0xFF, 0, 0, 0, 0, 0, 0x20, 0, 1, 1, 2, 3, 4],
            code: 1009,
            refusal: .webSocketMessageTooLarge
        ),
        Offence(
            testDescription: "an impossible length",
            bytes: [0x82, 0xFF] + [UInt8](repeating: 0xFF, count: 12),
            code: 1009,
            refusal: .webSocketMessageTooLarge
        ),
        Offence(
            testDescription: "fragments over the limit together",
            bytes: RawHTTPClient.frame(2, [UInt8](repeating: 0, count: 1_500_000), isFinal: false)
                + RawHTTPClient.frame(0, [UInt8](repeating: 0, count: 1_500_000)),
            code: 1009,
            refusal: .webSocketMessageTooLarge
        ),
    ]

    @Test("an offence ends the connection with its code and is counted once", arguments: offences)
    func offence(_ offence: Offence) async throws {
        let log = WebSocketRecorder.Log()
        try await HTTPTestServer.run(.webSocket(log)) { test in
            let client = try test.webSocket()
            client.send(offence.bytes + RawHTTPClient.frame(2, [1]))
            #expect(try client.readFrame().closeCode == offence.code)
            #expect(try client.readToEnd().isEmpty)
            #expect(log.next() == .closed(.refused(offence.refusal)))
            #expect(test.server.refusals[offence.refusal] == 1)
        }
    }

    @Test("the peer's Close is echoed and reported")
    func peerCloses() async throws {
        let log = WebSocketRecorder.Log()
        try await HTTPTestServer.run(.webSocket(log)) { test in
            let client = try test.webSocket()
            client.send(RawHTTPClient.frame(8, Frame.close(4001, "bye").payload))
            #expect(try client.readFrame() == .close(4001))
            #expect(try client.readToEnd().isEmpty)
            #expect(log.next() == .closed(.peer(code: WebSocketCloseCode(rawValue: 4001), reason: "bye")))

            let silent = try test.webSocket()
            silent.sendFrame(8)
            #expect(try silent.readFrame() == Frame(isFinal: true, opcode: 8, payload: []))
            #expect(log.next() == .closed(.peer(code: .noStatus, reason: "")))
        }
    }

    @Test("our Close follows what was sent before it, and waits for the peer's")
    func ownClose() async throws {
        let log = WebSocketRecorder.Log()
        let router = HTTPRouter.webSocket(log) { connection, _ in
            for number in 0..<100 { connection.send(binary: [UInt8(number)]) }
            connection.close(reason: "participant left")
            connection.send(text: "too late")
        }
        try await HTTPTestServer.run(router) { test in
            let client = try test.webSocket()
            client.sendFrame(2, [0])
            _ = log.next()
            for number in 0..<100 { #expect(try client.readFrame().payload == [UInt8(number)]) }
            #expect(try client.readFrame() == .close(1000, "participant left"))
            client.sendFrame(2, [1])
            client.send(RawHTTPClient.frame(8, Frame.close(1000).payload))
            #expect(try client.readToEnd().isEmpty)
            #expect(log.next() == .closed(.local(code: .normal, reason: "participant left")))
            #expect(test.server.refusals[.webSocketCloseTimeout] == 0)
        }
    }

    @Test("a peer that does not answer our Close is cut off")
    func closeTimeout() async throws {
        let log = WebSocketRecorder.Log()
        let router = HTTPRouter.webSocket(log) { connection, _ in connection.close(code: .tryAgainLater) }
        try await HTTPTestServer.run(router, configure: { $0.webSocketCloseTimeout = .milliseconds(20) }) { test in
            let client = try test.webSocket()
            client.sendFrame(2, [0])
            _ = log.next()
            #expect(try client.readFrame() == .close(1013))
            #expect(try client.readToEnd().isEmpty)
            #expect(log.next() == .closed(.local(code: .tryAgainLater, reason: "")))
            #expect(test.server.refusals[.webSocketCloseTimeout] == 1)
        }
    }

    @Test("a socket that goes away is reported as lost", arguments: [true, false])
    func lost(byReset: Bool) async throws {
        let log = WebSocketRecorder.Log()
        try await HTTPTestServer.run(.webSocket(log)) { test in
            let client = try test.webSocket()
            if byReset { client.reset() } else { client.close() }
            #expect(log.next() == .closed(.lost))
        }
    }

    @Test("a client that has gone before the route decided is opened and lost, so that its owner cleans up")
    func goneBeforeDecision() async throws {
        let log = WebSocketRecorder.Log()
        let (gone, tell) = AsyncStream.makeStream(of: Void.self)
        var router = HTTPRouter()
        router.webSocket("/rtc") { _ in
            for await _ in gone { break }
            return .accept { WebSocketRecorder($0, log) }
        }
        try await HTTPTestServer.run(router) { test in
            let client = try test.client()
            client.send(HTTPTestServer.upgrade("/rtc"))
            client.reset()
            tell.yield()
            #expect(log.next() == .closed(.lost))
        }
    }

    @Test("a peer that does not read is cut off at the outbound bound", arguments: [true, false])
    func slowReader(whileOpening: Bool) async throws {
        let log = WebSocketRecorder.Log()
        @Sendable func flood(_ connection: WebSocketConnection) {
            for _ in 0..<64 { connection.send(binary: [UInt8](repeating: 1, count: 1024 * 1024)) }
            #expect(connection.pendingByteCount <= 4 * 1024 * 1024)
        }
        var router = HTTPRouter.webSocket(log) { connection, _ in flood(connection) }
        router.webSocket("/flood") { _ in
            .accept { connection in
                flood(connection)
                return WebSocketRecorder(connection, log)
            }
        }
        try await HTTPTestServer.run(
            router,
            configure: { $0.webSocketOutboundLimit = 4 * 1024 * 1024 }
        ) { [router] test in
            _ = router
            let client = try test.webSocket(whileOpening ? "/flood" : "/rtc", receiveBuffer: 4096)
            if !whileOpening {
                client.sendFrame(2, [0])
                #expect(log.next() == .message(.binary([0])))
            }
            #expect(log.next() == .closed(.refused(.slowReader)))
            #expect(test.server.refusals[.slowReader] == 1)
        }
    }

    @Test("the server pings by itself and asks nothing of the peer")
    func pings() async throws {
        let log = WebSocketRecorder.Log()
        try await HTTPTestServer.run(
            .webSocket(log),
            configure: { $0.webSocketPingInterval = .milliseconds(10) }
        ) { test in
            let client = try test.webSocket()
            for _ in 0..<3 { #expect(try client.readFrame() == Frame(isFinal: true, opcode: 9, payload: [])) }
            client.sendFrame(10)
            client.sendFrame(2, [3])
            #expect(log.next() == .message(.binary([3])))
        }
    }

    @Test("a handler can stop taking messages and go on later")
    func pause() async throws {
        let log = WebSocketRecorder.Log()
        let paused = WebSocketRecorder.Log()
        let router = HTTPRouter.webSocket(log) { connection, message in
            if message == .text("pause") {
                connection.pauseReading()
                paused.add(.shuttingDown)
                Task { connection.resumeReading() }
            }
        }
        try await HTTPTestServer.run(router) { test in
            let client = try test.webSocket()
            client.sendFrame(1, Array("pause".utf8))
            #expect(paused.next() == .shuttingDown)
            client.sendFrame(2, [9])
            #expect(log.next() == .message(.text("pause")))
            #expect(log.next() == .message(.binary([9])))
        }
    }

    @Test("many threads send at once; nothing is lost and each thread's order holds")
    func concurrentSenders() async throws {
        let log = WebSocketRecorder.Log()
        let router = HTTPRouter.webSocket(log) { connection, _ in
            for sender in 0..<4 {
                Task {
                    for number in 0..<200 { connection.send(binary: [UInt8(sender), UInt8(number)]) }
                }
            }
        }
        try await HTTPTestServer.run(router) { test in
            let client = try test.webSocket()
            client.sendFrame(2, [0])
            var next = [Int](repeating: 0, count: 4)
            for _ in 0..<800 {
                let payload = try client.readFrame().payload
                #expect(Int(payload[1]) == next[Int(payload[0])])
                next[Int(payload[0])] += 1
            }
        }
    }

    @Test("seeded garbage frames never stop the server", arguments: [1, 2, 3] as [UInt64])
    func garbage(seed: UInt64) async throws {
        let log = WebSocketRecorder.Log()
        try await HTTPTestServer.run(.webSocket(log), configure: { $0.lingerTimeout = .milliseconds(20) }) { test in
            var random = SplitMix(state: seed)
            for _ in 0..<100 {
                let client = try test.webSocket()
                for _ in 0..<Int.random(in: 1...6, using: &random) {
                    let payload = (0..<Int.random(in: 0...140, using: &random)).map { _ in
                        UInt8.random(in: 0...255, using: &random)
                    }
                    var frame = RawHTTPClient.frame(
                        [0, 1, 2, 2, 2, 8, 9, 10, 11][Int.random(in: 0..<9, using: &random)],
                        payload,
                        isFinal: Int.random(in: 0..<4, using: &random) > 0,
                        reserved: Int.random(in: 0..<12, using: &random) == 0 ? 4 : 0
                    )
                    if Int.random(in: 0..<3, using: &random) == 0 {
                        frame[Int.random(in: 0..<frame.count, using: &random)] = UInt8.random(
                            in: 0...255, using: &random)
                    }
                    client.send(frame)
                }
                client.endOutput()
                _ = try client.readToEnd()
                var last: WebSocketRecorder.Event?
                repeat { last = log.next() } while last.map { if case .message = $0 { true } else { false } } ?? false
                guard case .closed = last else {
                    Issue.record("no end was reported, seed \(seed)")
                    return
                }
            }
        }
    }
}
