// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Session description text, RFC 8866 §9")
struct SDPParserTests {
    private func reason(_ text: String) -> SDPError? {
        #expect(throws: SDPError.self) { try SDPParser.parse(text) }
    }

    private static let preamble = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\n"

    @Test("what was parsed and written again is the same value", arguments: SDPSamples.all)
    func roundTrip(_ sample: SDPSamples.Sample) throws {
        let parsed = try SDPParser.parse(sample.text)
        let written = SDPWriter.text(of: parsed)
        #expect(try SDPParser.parse(written) == parsed)
        #expect(SDPWriter.text(of: try SDPParser.parse(written)) == written)
    }

    @Test("CRLF and LF mean the same")
    func lineEndings() throws {
        let crlf = SDPSamples.firefox.split(separator: "\n").joined(separator: "\r\n") + "\r\n"
        #expect(try SDPParser.parse(crlf) == SDPParser.parse(SDPSamples.firefox))
    }

    @Test("lines of a section and of the session are kept apart")
    func levels() throws {
        let parsed = try SDPParser.parse(
            Self.preamble + "c=IN IP4 1.2.3.4\nb=AS:10\na=one\n"
                + "m=audio 9/2 RTP/SAVPF 0 8\nc=IN IP4 0.0.0.0\nb=TIAS:5\na=x:\n")
        #expect(parsed.connection == "IN IP4 1.2.3.4")
        #expect(parsed.bandwidths == ["AS:10"])
        #expect(parsed.attributes == [SDPAttribute(SDPAttribute.Name(rawValue: "one"))])
        #expect(
            parsed.media == [
                MediaDescription(
                    kind: .audio, port: 9, transportProtocol: "RTP/SAVPF", formats: ["0", "8"],
                    connection: "IN IP4 0.0.0.0", bandwidths: ["TIAS:5"],
                    attributes: [SDPAttribute(SDPAttribute.Name(rawValue: "x"), "")])
            ])
    }

    struct Refusal: CustomTestStringConvertible {
        var testDescription: String
        var text: String
        var error: SDPError
    }

    static let refusals = [
        Refusal(testDescription: "empty", text: "", error: SDPError(.missingPreamble, at: .description)),
        Refusal(
            testDescription: "version 1", text: "v=1\n", error: SDPError(.missingPreamble, at: .line(1))),
        Refusal(
            testDescription: "no origin", text: "v=0\ns=-\n", error: SDPError(.missingPreamble, at: .line(2))),
        Refusal(
            testDescription: "signed session id", text: "v=0\no=- +1 1 IN IP4 0.0.0.0\n",
            error: SDPError(.malformedLine, at: .line(2))),
        Refusal(
            testDescription: "unknown letter", text: preamble + "x=1\n",
            error: SDPError(.malformedLine, at: .line(5))),
        Refusal(
            testDescription: "no equals sign", text: preamble + "a\n",
            error: SDPError(.malformedLine, at: .line(5))),
        Refusal(
            testDescription: "attribute without name", text: preamble + "a=:x\n",
            error: SDPError(.malformedLine, at: .line(5))),
        Refusal(
            testDescription: "second origin", text: preamble + "o=- 1 1 IN IP4 0.0.0.0\n",
            error: SDPError(.malformedLine, at: .line(5))),
        Refusal(
            testDescription: "port out of range", text: preamble + "m=audio 65536 RTP/SAVPF 0\n",
            error: SDPError(.malformedLine, at: .line(5))),
        Refusal(
            testDescription: "section without formats", text: preamble + "m=audio 9 RTP/SAVPF\n",
            error: SDPError(.malformedLine, at: .line(5))),
        Refusal(
            testDescription: "NUL", text: preamble + "a=x\0y\n", error: SDPError(.notText, at: .line(5))),
        Refusal(
            testDescription: "bare return", text: preamble + "a=x\ry\n", error: SDPError(.notText, at: .line(5))),
        Refusal(
            testDescription: "long line", text: preamble + "a=" + String(repeating: "x", count: 8191),
            error: SDPError(.lineTooLong(byteCount: 8193, limit: 8192), at: .line(5))),
        Refusal(
            testDescription: "many sections",
            text: preamble + String(repeating: "m=audio 9 RTP/SAVPF 0\n", count: 513),
            error: SDPError(.tooManySections(limit: 512), at: .line(517))),
        Refusal(
            testDescription: "many attributes",
            text: preamble + "m=audio 9 RTP/SAVPF 0\n" + String(repeating: "a=x\n", count: 1025),
            error: SDPError(.tooManyAttributes(limit: 1024), at: .line(1030))),
        Refusal(
            testDescription: "many attributes of the session",
            text: preamble + String(repeating: "a=ice-options:" + String(repeating: " ", count: 900) + "\n", count: 65),
            error: SDPError(.tooManyAttributes(limit: 64), at: .line(69))),
        Refusal(
            testDescription: "many bandwidths", text: preamble + String(repeating: "b=x\n", count: 1025),
            error: SDPError(.tooManyAttributes(limit: 1024), at: .line(1029))),
        Refusal(
            testDescription: "many formats",
            text: preamble + "m=audio 9 RTP/SAVPF" + String(repeating: " 0", count: 129),
            error: SDPError(.tooManyFormats(limit: 128), at: .line(5))),
        Refusal(
            testDescription: "too long", text: String(repeating: "x", count: (768 << 10) + 1),
            error: SDPError(.descriptionTooLong(byteCount: (768 << 10) + 1, limit: 768 << 10), at: .description)),
    ]

    @Test("is refused with reason and line", arguments: refusals)
    func refuses(_ refusal: Refusal) {
        #expect(reason(refusal.text) == refusal.error)
    }

    @Test("bytes that are not UTF-8 are refused")
    func invalidUTF8() {
        let bytes = Array(Self.preamble.utf8) + [UInt8(ascii: "a"), UInt8(ascii: "="), 0xC3, 0x28, 0x0A]
        #expect(throws: SDPError(.notText, at: .line(5))) {
            try bytes.withUnsafeBytes { try SDPParser.parse($0) }
        }
    }

    @Test("an error tells its place and nothing of the description")
    func errorText() {
        let error = SDPError(.malformedAttribute(.icePassword), at: .section(2))
        #expect(error.description.contains("media section 2"))
        #expect(error.description.contains("ice-pwd"))
    }
}
