// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Attributes of a media section")
struct SectionAttributesTests {
    private func attributes(
        _ lines: [String],
        media: String = "audio 9 UDP/TLS/RTP/SAVPF 111",
        session: [String] = []
    ) throws -> SectionAttributes {
        let text =
            "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\n" + session.map { "a=\($0)\n" }.joined() + "m=\(media)\n"
            + lines.map { "a=\($0)\n" }.joined()
        let description = try SDPParser.parse(text)
        return try SectionAttributes(
            of: description.media[0], at: 0, inheriting: SectionAttributes(of: description))
    }

    @Test("session-level values stand in only where the section has none")
    func inheritance() throws {
        let other = String(SDPSamples.fingerprint.reversed())
        let session = [
            "fingerprint:sha-256 \(SDPSamples.fingerprint)", "setup:active", "ice-ufrag:sess",
            "ice-pwd:sessionsessionsession00", "recvonly", "extmap:1 \(HeaderExtension.mid.uri)",
        ]
        let inherited = try attributes([], session: session)
        #expect(inherited.fingerprint == CertificateFingerprint(hexadecimal: SDPSamples.fingerprint))
        #expect(inherited.setup == .active)
        #expect(inherited.iceUsernameFragment == "sess")
        #expect(inherited.direction == .recvonly)
        #expect(inherited.extensions.map(\.known) == [.mid])

        let own = try attributes(
            [
                "fingerprint:sha-256 \(other)", "setup:passive", "ice-ufrag:mine", "ice-pwd:minemineminemineminemi",
                "sendonly", "extmap:2 \(HeaderExtension.audioLevel.uri)",
            ], session: session)
        #expect(own.fingerprint == CertificateFingerprint(hexadecimal: other))
        #expect(own.setup == .passive)
        #expect(own.iceUsernameFragment == "mine")
        #expect(own.direction == .sendonly)
        #expect(own.extensions.map(\.known) == [.audioLevel])
    }

    @Test("formats gather rtpmap, fmtp and feedback, also for every format at once")
    func formats() throws {
        let section = try attributes(
            [
                "rtpmap:96 vp8/90000", "rtcp-fb:96 nack", "rtcp-fb:* ccm fir", "fmtp:97 Apt=96; x",
                "rtpmap:97 rtx/90000", "rtpmap:50 ignored/1",
            ], media: "video 9 UDP/TLS/RTP/SAVPF 96 97")
        #expect(section.formats.map(\.payloadType) == [96, 97])
        #expect(section.formats[0].feedback == [.nack, .fullIntraRequest])
        #expect(section.formats[1].parameters.value(of: "apt") == "96")
        #expect(section.formats[1].parameters.value(of: "x") == nil)
    }

    @Test("simulcast order wins, pauses and alternatives are dropped, undeclared rids are ignored")
    func simulcast() throws {
        let section = try attributes([
            "rid:f send pt=96", "rid:h send", "rid:q send", "rid:r recv", "simulcast:send q,z;~h;f;g recv r",
        ])
        #expect(section.restrictionIdentifiers == ["q", "h", "f"])
        #expect(section.hasSimulcast)
        #expect(try attributes(["rid:f send"]).restrictionIdentifiers == ["f"])
    }

    @Test("msid comes from its own line or from ssrc lines")
    func msid() throws {
        #expect(try attributes(["msid:- cid"]).msid == MediaStreamIdentifier(stream: "-", track: "cid"))
        #expect(try attributes(["msid:stream"]).msid == MediaStreamIdentifier(stream: "stream", track: ""))
        let old = try attributes(["ssrc:1 cname:x", "ssrc:1 msid:s t", "ssrc:2 cname:x", "ssrc-group:FID 1 2"])
        #expect(old.msid == MediaStreamIdentifier(stream: "s", track: "t"))
        #expect(old.ssrcs == [1, 2])
        #expect(old.repairPairs == [RepairPair(media: 1, repair: 2)])
    }

    @Test("extension ids: 15 and provisional ones are passed over")
    func extensionIDs() throws {
        let mid = HeaderExtension.mid.uri
        #expect(try attributes(["extmap:255/recvonly \(mid) x"]).extensions.map(\.id) == [255])
        #expect(try attributes(["extmap:15 \(mid)", "extmap:4096 \(mid)"]).extensions.isEmpty)
    }

    @Test("data sections in both spellings")
    func sctp() throws {
        let current = try attributes(
            ["sctp-port:5001", "max-message-size:0"], media: "application 9 UDP/DTLS/SCTP webrtc-datachannel")
        #expect(current.sctpPort == 5001)
        #expect(current.maxMessageSize == 0)
        #expect(try attributes(["sctpmap:5002 x 1"], media: "application 9 DTLS/SCTP 5002").sctpPort == 5002)
        #expect(try attributes([], media: "application 9 DTLS/SCTP 5003").sctpPort == 5003)
    }

    @Test("candidates keep the form other parts read")
    func candidates() throws {
        let section = try attributes(["candidate:1 1 udp 1 127.0.0.1 9 typ host", "end-of-candidates"])
        #expect(section.candidates == ["candidate:1 1 udp 1 127.0.0.1 9 typ host"])
        #expect(section.hasEndOfCandidates)
    }

    @Test(
        "is refused as malformed",
        arguments: [
            "mid:", "mid:a b", "mid:" + String(repeating: "m", count: 65), "ice-ufrag:abc", "ice-ufrag:a cd",
            "ice-pwd:short", "ice-pwd:" + String(repeating: "p", count: 257), "fingerprint:sha-256", "setup:both",
            "fingerprint:sha-256 00:11", "fingerprint:sha-256 " + String(SDPSamples.fingerprint.dropLast()) + "G",
            "sctp-port:70000", "max-message-size:-1", "rtpmap:111", "rtpmap:128 opus/48000", "rtpmap:111 opus",
            "rtpmap:111 opus/0", "rtpmap:111 opus/48000/2/1", "rtpmap:111 opus/48000/0", "fmtp:x y", "rtcp-fb:* ",
            "extmap:0 uri", "extmap:x uri", "extmap:1", "extmap:1/up uri", "extmap:1/ uri", "msid:", "msid:a b c",
            "ssrc:x", "ssrc:4294967296 cname:x", "ssrc-group:FID 1", "ssrc-group:FID 1 x", "rid:q", "rid:q! send",
            "rid:" + String(repeating: "q", count: 17) + " send", "simulcast:send", "simulcast:send ~",
            "simulcast:send q! recv a",
        ])
    func malformed(line: String) throws {
        let name = SDPAttribute.Name(rawValue: String(line.prefix { $0 != ":" }))
        #expect(throws: SDPError(.malformedAttribute(name), at: .section(0))) { try attributes([line]) }
    }

    @Test("more of anything than a client sends is refused")
    func limits() {
        #expect(throws: SDPError(.tooManyValues(.ssrc, limit: 64), at: .section(0))) {
            try attributes((0..<65).map { "ssrc:\($0) cname:x" })
        }
        #expect(throws: SDPError(.tooManyValues(.ssrcGroup, limit: 32), at: .section(0))) {
            try attributes((0..<33).map { "ssrc-group:FID \($0) 1" })
        }
        #expect(throws: SDPError(.tooManyValues(.rid, limit: 16), at: .section(0))) {
            try attributes((0..<17).map { "rid:r\($0) send" })
        }
        #expect(throws: SDPError(.tooManyValues(.iceOptions, limit: 16), at: .session)) {
            try attributes([], session: ["ice-options:" + String(repeating: "x ", count: 17)])
        }
    }

    @Test("the session level is read once, before any section, and by itself")
    func sessionLevel() {
        // Each section has a fingerprint of its own and would not look.
        #expect(throws: SDPError(.malformedAttribute(.fingerprint), at: .session)) {
            try attributes(["fingerprint:sha-256 \(SDPSamples.fingerprint)"], session: ["fingerprint:sha-256 0"])
        }
    }

    @Test("payload types and extension ids are used once")
    func duplicates() {
        #expect(throws: SDPError(.duplicatePayloadType(96), at: .section(0))) {
            try attributes([], media: "video 9 UDP/TLS/RTP/SAVPF 96 96")
        }
        #expect(throws: SDPError(.duplicateExtensionID(3), at: .section(0))) {
            try attributes(["extmap:3 \(HeaderExtension.mid.uri)", "extmap:3 \(HeaderExtension.audioLevel.uri)"])
        }
        #expect(throws: SDPError(.unsupportedFingerprint, at: .section(0))) {
            try attributes(["fingerprint:sha-1 00:11"])
        }
    }
}
