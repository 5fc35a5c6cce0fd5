// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOCore
import NIOWebSocket
import Testing

@testable import FocusSFU

@Suite("WebSocket messages from frames, RFC 6455 §5")
struct WebSocketAssemblerTests {
    private func frame(
        _ opcode: WebSocketOpcode,
        _ payload: [UInt8] = [],
        fin: Bool = true,
        isMasked: Bool = true,
        rsv1: Bool = false
    ) -> WebSocketFrame {
        let key: WebSocketMaskingKey? = isMasked ? [1, 2, 3, 4] : nil
        var data = ByteBuffer(bytes: payload)
        if let key { data.webSocketMask(key) }
        return WebSocketFrame(fin: fin, rsv1: rsv1, opcode: opcode, maskKey: key, data: data)
    }

    @Test("a message in one frame, and one in three with a ping between")
    func fragments() throws {
        var assembler = WebSocketAssembler(limit: 100)
        #expect(try assembler.receive(frame(.binary, [1, 2])) == .message(.binary([1, 2])))
        #expect(try assembler.receive(frame(.text, Array("é".utf8.prefix(1)), fin: false)) == .nothing)
        #expect(try assembler.receive(frame(.ping, [9])) == .ping(ByteBuffer(bytes: [9])))
        #expect(try assembler.receive(frame(.continuation, [], fin: false)) == .nothing)
        #expect(try assembler.receive(frame(.continuation, Array("é!".utf8.dropFirst()))) == .message(.text("é!")))
        #expect(try assembler.receive(frame(.text)) == .message(.text("")))
    }

    @Test("each rule that a frame can break has its refusal")
    func violations() {
        func violation(_ frames: WebSocketFrame...) -> WebSocketAssembler.Violation? {
            var assembler = WebSocketAssembler(limit: 4)
            do {
                for frame in frames { _ = try assembler.receive(frame) }
                return nil
            } catch {
                return error
            }
        }
        #expect(violation(frame(.binary, [1], isMasked: false)) == .unmasked)
        #expect(violation(frame(.binary, [1], rsv1: true)) == .reservedBits)
        #expect(violation(frame(WebSocketOpcode(encodedWebSocketOpcode: 3) ?? .text)) == .unknownOpcode)
        #expect(violation(frame(WebSocketOpcode(encodedWebSocketOpcode: 11) ?? .text)) == .unknownOpcode)
        #expect(violation(frame(.continuation)) == .continuationWithoutStart)
        #expect(violation(frame(.text, fin: false), frame(.binary)) == .interleavedMessage)
        #expect(violation(frame(.ping, fin: false)) == .controlFrame)
        #expect(violation(frame(.pong, [UInt8](repeating: 0, count: 126))) == .controlFrame)
        #expect(violation(frame(.binary, [1, 2, 3, 4, 5])) == .messageTooLarge)
        #expect(violation(frame(.binary, [1, 2, 3], fin: false), frame(.continuation, [4, 5])) == .messageTooLarge)
        #expect(violation(frame(.binary, [1, 2, 3], fin: false), frame(.continuation, [4])) == nil)
        #expect(violation(frame(.text, [0xFF])) == .invalidText)
        #expect(violation(frame(.text, [0xED, 0xA0, 0x80])) == .invalidText)
        #expect(violation(frame(.text, [0xC3], fin: false), frame(.continuation, [0x28])) == .invalidText)
        #expect(violation(frame(.connectionClose, [3])) == .closePayload)
        #expect(violation(frame(.connectionClose, [0x03, 0xED])) == .closePayload)
        #expect(violation(frame(.connectionClose, [0x03, 0xE8, 0xFF])) == .invalidText)
    }

    @Test("Close with nothing, with a code, with a reason")
    func close() throws {
        var assembler = WebSocketAssembler(limit: 4)
        #expect(try assembler.receive(frame(.connectionClose)) == .close(code: .noStatus, reason: ""))
        #expect(try assembler.receive(frame(.connectionClose, [0x03, 0xE8])) == .close(code: .normal, reason: ""))
        let long = frame(.connectionClose, [0x0F, 0xA0] + Array("longer than a message".utf8))
        let expected = WebSocketAssembler.Output.close(
            code: WebSocketCloseCode(rawValue: 4000),
            reason: "longer than a message"
        )
        #expect(try assembler.receive(long) == expected)
    }
}
