// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import SwiftProtobuf
import Testing

@testable import FocusSFU

@Suite("Signal messages on the wire")
struct SignalCodecTests {
    private static var request: LiveKitSignalRequest {
        var request = LiveKitSignalRequest()
        request.mute.sid = "TR_1"
        request.mute.muted = true
        return request
    }

    @Test("requests are read from binary and from text frames")
    func requests() throws {
        let binary = try SignalCodec.decode(binary: try Self.request.serializedBytes())
        let text = try SignalCodec.decode(text: try Self.request.jsonString())
        for message in [binary, text] {
            guard case .mute(let mute) = message else {
                Issue.record("not a mute request: \(message)")
                continue
            }
            #expect(mute.sid == "TR_1")
            #expect(mute.muted)
        }
    }

    @Test("fields that are newer than we are do no harm in either form")
    func unknownFields() throws {
        let bytes: [UInt8] = try Self.request.serializedBytes()
        // Field 4000, a varint.
        _ = try SignalCodec.decode(binary: bytes + [0x80, 0xFA, 0x01, 0x01])
        _ = try SignalCodec.decode(text: #"{"mute":{"sid":"TR_1","colour":"red"},"future":{"a":[1]}}"#)
    }

    @Test("a message kind we do not know is empty, not malformed")
    func unknownKind() {
        #expect(throws: SignalCodec.Refusal.empty) { try SignalCodec.decode(binary: [0x80, 0xFA, 0x01, 0x01]) }
        #expect(throws: SignalCodec.Refusal.empty) { try SignalCodec.decode(binary: []) }
        #expect(throws: SignalCodec.Refusal.empty) { try SignalCodec.decode(text: #"{"future":{}}"#) }
    }

    @Test("what is no message is malformed")
    func malformed() {
        #expect(throws: SignalCodec.Refusal.malformed) { try SignalCodec.decode(binary: [0xFF, 0xFF, 0xFF]) }
        for text in ["", "[]", "{", #"{"mute":1}"#] {
            #expect(throws: SignalCodec.Refusal.malformed) { try SignalCodec.decode(text: text) }
        }
    }

    @Test("responses read back alike in both forms")
    func responses() throws {
        var response = LiveKitSignalResponse()
        response.pongResp.timestamp = 42
        #expect(try LiveKitSignalResponse(serializedBytes: SignalCodec.encode(response)) == response)
        #expect(try LiveKitSignalResponse(jsonString: SignalCodec.encodeText(response)) == response)
    }

    @Test("changed bytes are refused or read, never trapped")
    func mutated() throws {
        for bytes in MutatedBytes(of: try Self.request.serializedBytes(), seed: 4, count: 2_000) {
            _ = try? SignalCodec.decode(binary: bytes)
            _ = try? SignalCodec.decode(text: String(decoding: bytes, as: UTF8.self))
        }
    }
}
