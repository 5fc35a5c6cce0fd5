// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

@testable import FocusSFU
import FuzzInput
import NIOCore
import NIOEmbedded
import NIOWebSocket

/// The bytes of one WebSocket connection after the handshake, as they arrive, in pieces.
///
///     | length (2) | piece | …
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzWebSocket(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let limit = 1024
    var input = FuzzInput(start, count)
    let channel = EmbeddedChannel()
    defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
    let decoder = ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: limit))
    guard (try? channel.pipeline.syncOperations.addHandler(decoder)) != nil else { return 0 }
    var assembler = WebSocketAssembler(limit: limit)
    while !input.isEmpty {
        guard (try? channel.writeInbound(ByteBuffer(bytes: input.nextDatagram()))) != nil else { return 0 }
        while let frame = try? channel.readInbound(as: WebSocketFrame.self) {
            do throws(WebSocketAssembler.Violation) {
                switch try assembler.receive(frame) {
                case .message(.binary(let bytes)): precondition(bytes.count <= limit, "over the limit")
                case .message(.text(let text)): precondition(text.utf8.count <= limit, "over the limit")
                case .close: return 0
                case .nothing, .ping, .pong: break
                }
            } catch {
                precondition(error.reason.utf8.count <= 123, "a reason too long for a Close frame")
                return 0
            }
        }
    }
    return 0
}
