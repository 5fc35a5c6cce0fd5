// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Answers to clients, RFC 3264 §6, RFC 8829 §5.3")
struct AnswererTests {
    private static let decisions: [String: SectionDecision] = [
        "1": .send(SDPSamples.microphone),
        "2": .send(SDPSamples.camera),
        "3": .receive(ReceivePreferences(isStereo: true)),
        "4": .receive(ReceivePreferences(codec: .first(.h264))),
    ]

    @Test("session level and data section of a single connection's answer")
    func sessionLevel() throws {
        let answer = SDPSamples.answerer().answer(try SDPSamples.offer(SDPSamples.publishing), decisions: [:])
        let text = SDPWriter.text(of: answer.description)
        let expected = [
            "v=0", "o=- 4611686018427387904 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1 2 3 4",
            "a=extmap-allow-mixed", "a=msid-semantic:WMS *", "a=fingerprint:sha-256 \(SDPSamples.fingerprint)",
            "a=ice-lite", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=ice-ufrag:SrVr",
            "a=ice-pwd:serverpasswordserverpw00", "a=candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host",
            "a=end-of-candidates", "a=setup:active", "a=mid:0", "a=sctp-port:5000", "a=max-message-size:65535",
        ]
        #expect(Array(text.split(separator: "\r\n").map(String.init).prefix(expected.count)) == expected)
        #expect(answer.setup == .active)
        #expect(answer.sections[0].direction == .sendrecv)
    }

    @Test("a published microphone")
    func receivedAudio() throws {
        let answer = SDPSamples.answerer().answer(
            try SDPSamples.offer(SDPSamples.publishing), decisions: Self.decisions)
        #expect(
            SDPSamples.lines(answer.description, section: 3) == [
                "m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 0.0.0.0", "a=ice-ufrag:SrVr",
                "a=ice-pwd:serverpasswordserverpw00", "a=setup:active", "a=mid:3", "a=recvonly", "a=rtcp-mux",
                "a=rtcp-rsize", "a=rtpmap:111 opus/48000/2",
                "a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1;stereo=1;maxaveragebitrate=510000",
                "a=rtcp-fb:111 nack", "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
                "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
                "a=extmap:14 http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            ])
        let section = answer.sections[3]
        #expect(section.direction == .recvonly)
        #expect(section.remoteMSID == MediaStreamIdentifier(stream: "-", track: "microphone-cid"))
        #expect(section.extensions.audioLevel == 1)
        #expect(section.extensions.mid == 4)
        #expect(section.extensions.transportSequenceNumber == 0)
        #expect(section.remoteSendsStereo)
        #expect(!section.remotePrefersStereo)
    }

    @Test("a published simulcast camera: requested codec first, rids mirrored")
    func receivedVideo() throws {
        let answer = SDPSamples.answerer().answer(
            try SDPSamples.offer(SDPSamples.publishing), decisions: Self.decisions)
        let lines = SDPSamples.lines(answer.description, section: 4)
        #expect(lines[0] == "m=video 9 UDP/TLS/RTP/SAVPF 103 104 109 114 96 97 45 46 98 99")
        #expect(lines.suffix(4) == ["a=rid:q recv", "a=rid:h recv", "a=rid:f recv", "a=simulcast:recv q;h;f"])
        #expect(lines.contains("a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f"))
        #expect(lines.contains("a=rtcp-fb:96 goog-remb"))
        #expect(!lines.contains { $0.contains("video-orientation") || $0.contains("ulpfec") || $0.contains("msid") })
        let section = answer.sections[4]
        #expect(section.restrictionIdentifiers == ["q", "h", "f"])
        #expect(section.codecs.map(\.name) == [.h264, .h264, .vp8, .av1, .vp9])
        #expect(section.codecs[2].usesNACK && section.codecs[2].usesPLI && section.codecs[2].usesFIR)
        #expect(section.extensions.transportSequenceNumber == 3)
        #expect(section.extensions.absoluteSendTime == 2)
        #expect(section.extensions.dependencyDescriptor == 12)
        #expect(section.extensions.rtpStreamID == 10)
        #expect(section.extensions.repairedRTPStreamID == 11)
    }

    @Test("a connection that only publishes has no bandwidth estimate by the receiver")
    func publisherConnection() throws {
        let answer = SDPSamples.answerer(.publisher).answer(
            try SDPSamples.offer(SDPSamples.publishing), decisions: Self.decisions)
        let lines = SDPSamples.lines(answer.description, section: 4)
        #expect(!lines.contains { $0.contains("goog-remb") || $0.contains("abs-send-time") })
        #expect(lines.contains("a=rtcp-fb:96 transport-cc"))
    }

    @Test("a track of the client that comes back in its own section, with the payload type of the offer")
    func exchanged() throws {
        let text =
            SDPSamples.session(mids: ["0", "1"])
            + SDPSamples.chromeAudio(mid: "0", direction: "sendrecv", msid: "a=msid:own microphone\n")
            + SDPSamples.chromeAudio(mid: "1", direction: "sendonly")
        let exchange = SectionDecision.exchange(ReceivePreferences(), SDPSamples.microphone)
        let answer = SDPSamples.answerer().answer(
            try SDPSamples.offer(text), decisions: ["0": exchange, "1": exchange])
        let lines = SDPSamples.lines(answer.description, section: 0)
        #expect(lines[0] == "m=audio 9 UDP/TLS/RTP/SAVPF 111")
        #expect(lines.contains("a=sendrecv"))
        #expect(lines.contains { $0.hasPrefix("a=msid:\(SDPSamples.microphone.msid.stream) ") })
        #expect(lines.contains("a=ssrc:\(SDPSamples.microphone.ssrc) cname:\(SDPSamples.microphone.cname)"))
        let section = answer.sections[0]
        #expect(section.direction == .sendrecv)
        #expect(section.takesMedia)
        #expect(section.codecs.map(\.payloadType) == [111])
        #expect(section.remoteMSID == MediaStreamIdentifier(stream: "own", track: "microphone"))
        #expect(section.extensions.mid == 4)
        // A client that takes nothing gets nothing.
        #expect(answer.sections[1].direction == .inactive)
        #expect(answer.sections[1].refusal == .direction)
        // Nor one whose codec is another.
        let video = SDPSamples.answerer().answer(
            try SDPSamples.offer(text), decisions: ["0": .exchange(ReceivePreferences(), SDPSamples.camera)])
        #expect(video.sections[0].refusal == .noCommonCodec)
    }

    @Test("a track brought to a spare section")
    func sentVideo() throws {
        let answer = SDPSamples.answerer().answer(
            try SDPSamples.offer(SDPSamples.publishing), decisions: Self.decisions)
        #expect(
            SDPSamples.lines(answer.description, section: 2) == [
                "m=video 9 UDP/TLS/RTP/SAVPF 96 97", "c=IN IP4 0.0.0.0", "a=ice-ufrag:SrVr",
                "a=ice-pwd:serverpasswordserverpw00", "a=setup:active", "a=mid:2", "a=sendonly", "a=rtcp-mux",
                "a=rtcp-rsize", "a=rtpmap:96 VP8/90000", "a=rtcp-fb:96 goog-remb", "a=rtcp-fb:96 ccm fir",
                "a=rtcp-fb:96 nack", "a=rtcp-fb:96 nack pli", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96",
                "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
                "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
                "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
                "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
                "a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
                "a=extmap:12 https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
                "a=msid:PA_alice|TR_VCone TR_VCone", "a=ssrc-group:FID 1001 1002",
                "a=ssrc:1001 cname:PA_alice|TR_VCone", "a=ssrc:1001 msid:PA_alice|TR_VCone TR_VCone",
                "a=ssrc:1001 mslabel:PA_alice|TR_VCone", "a=ssrc:1001 label:TR_VCone",
                "a=ssrc:1002 cname:PA_alice|TR_VCone", "a=ssrc:1002 msid:PA_alice|TR_VCone TR_VCone",
                "a=ssrc:1002 mslabel:PA_alice|TR_VCone", "a=ssrc:1002 label:TR_VCone",
            ])
        #expect(answer.sections[2].direction == .sendonly)
        #expect(answer.sections[2].codecs.first?.rtxPayloadType == 97)
        let audio = SDPSamples.lines(answer.description, section: 1)
        #expect(audio[0] == "m=audio 9 UDP/TLS/RTP/SAVPF 111")
        #expect(audio.contains("a=fmtp:111 minptime=10;useinbandfec=1;sprop-stereo=1"))
        #expect(audio.contains("a=ssrc:2001 cname:PA_alice|TR_AMone"))
    }

    @Test("spare sections nobody needs stay open, without a stream")
    func spare() throws {
        let answer = SDPSamples.answerer().answer(try SDPSamples.offer(SDPSamples.spareSections), decisions: [:])
        for media in answer.description.media.dropFirst() {
            #expect(media.port == 9)
            #expect(media.attributes.contains(SDPAttribute(SDPAttribute.Name(.inactive))))
            #expect(!media.attributes.contains { $0.name == .msid || $0.name == .ssrc })
            #expect(media.connection == "IN IP4 0.0.0.0")
            // Without it libwebrtc leaves the extension out of later offers, and refuses its own simulcast.
            #expect(
                media.kind != .video
                    || media.attributes.contains { $0.value?.hasSuffix("sdes:rtp-stream-id") ?? false })
        }
        #expect(answer.sections.dropFirst().allSatisfy { $0.direction == .inactive && $0.refusal == nil })
    }

    @Test("Firefox keeps its numbers; what it did not offer is not answered")
    func firefox() throws {
        let answer = SDPSamples.answerer(.publisher).answer(
            try SDPSamples.offer(SDPSamples.firefox),
            decisions: [
                "0": .receive(ReceivePreferences(allowsDTX: false)),
                "1": .receive(ReceivePreferences(codec: .only(.vp8))),
            ])
        let audio = SDPSamples.lines(answer.description, section: 0)
        #expect(audio[0] == "m=audio 9 UDP/TLS/RTP/SAVPF 109")
        #expect(audio.contains("a=fmtp:109 minptime=10;useinbandfec=1"))
        #expect(!audio.contains("a=rtcp-rsize"))
        let video = SDPSamples.lines(answer.description, section: 1)
        #expect(video[0] == "m=video 9 UDP/TLS/RTP/SAVPF 120 124")
        #expect(video.contains("a=fmtp:120 max-fs=12288;max-fr=60"))
        #expect(
            video.contains("a=extmap:4/recvonly http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"))
        #expect(!answer.description.attributes.contains { $0.name == .extmapAllowMixed })
        #expect(answer.sections[0].remotePrefersStereo)
        #expect(answer.sections[1].remoteSSRCs == [2210, 2211])
        #expect(answer.sections[1].remoteRepairPairs == [RepairPair(media: 2210, repair: 2211)])
    }

    @Test("RED comes first, where the room wants it and it carries the accepted Opus")
    func redundantAudio() throws {
        let wanted: [String: SectionDecision] = ["3": .receive(ReceivePreferences(allowsRED: true))]
        let answer = SDPSamples.answerer().answer(try SDPSamples.offer(SDPSamples.publishing), decisions: wanted)
        #expect(answer.description.media[3].formats == ["63", "111"])
        let foreign = SDPSamples.publishing.replacing("63 111/111", with: "63 0/0")
        let other = SDPSamples.answerer().answer(try SDPSamples.offer(foreign), decisions: wanted)
        #expect(other.description.media[3].formats == ["111"])

        var track = SDPSamples.microphone
        track.codec = .red
        let sent = SDPSamples.answerer().answer(
            try SDPSamples.offer(SDPSamples.publishing), decisions: ["1": .send(track)])
        #expect(sent.sections[1].codecs.map(\.payloadType) == [63, 111])
    }

    @Test("decisions the offer does not allow leave the section inactive and say why")
    func refusedDecisions() throws {
        var main = SDPSamples.camera
        main.codec = .h264(.constrainedBaseline, .nonInterleaved)
        let text = SDPSamples.publishing.replacing("profile-level-id=42", with: "profile-level-id=64")
        let answer = SDPSamples.answerer().answer(
            try SDPSamples.offer(text),
            decisions: [
                "1": .receive(ReceivePreferences()), "2": .send(main), "3": .send(SDPSamples.microphone),
                "4": .send(SDPSamples.camera),
            ])
        #expect(answer.sections.map(\.refusal) == [nil, .direction, .noCommonCodec, .direction, .direction])
        #expect(answer.sections.dropFirst().allSatisfy { $0.direction == .inactive })
    }

    @Test("a section without any codec of ours repeats one of its formats and stays open")
    func noCommonCodec() throws {
        let text =
            SDPSamples.session(mids: ["0", "1"]) + SDPSamples.data(mid: "0") + "m=video 9 UDP/TLS/RTP/SAVPF 116 117\n"
            + "a=mid:1\na=rtcp-mux\na=sendonly\na=rtpmap:116 H265/90000\na=rtpmap:117 rtx/90000\n"
        let answer = SDPSamples.answerer().answer(
            try SDPSamples.offer(text), decisions: ["1": .receive(ReceivePreferences())])
        #expect(answer.sections[1].refusal == .noCommonCodec)
        #expect(answer.sections[1].codecs.isEmpty)
        #expect(answer.description.media[1].port == 9)
        #expect(answer.description.media[1].formats == ["116"])
        #expect(answer.description.media[1].attributes.contains(SDPAttribute(.rtpmap, "116 H265/90000")))
    }

    @Test("what can never carry anything is rejected with port 0 and leaves the bundle")
    func rejected() throws {
        let audio = SDPSamples.chromeAudio(mid: "2", direction: "sendrecv")
        let text =
            SDPSamples.session(mids: ["t", "0"]) + "m=text 9 UDP/TLS/RTP/SAVPF 98\n" + SDPSamples.transportLines
            + "a=mid:t\n" + SDPSamples.data(mid: "0") + audio + "m=video 0 UDP/TLS/RTP/SAVPF 96\na=mid:3\n"
        let answer = SDPSamples.answerer().answer(try SDPSamples.offer(text), decisions: [:])
        #expect(answer.description.media.map(\.port) == [0, 9, 0, 0])
        #expect(answer.description.media.allSatisfy { $0.connection == "IN IP4 0.0.0.0" })
        #expect(answer.description.attributes.contains(SDPAttribute(.group, "BUNDLE 0")))
        #expect(answer.description.media[1].attributes.contains { $0.name == .candidate })
        #expect(
            answer.sections.map(\.refusal) == [
                .obstacle(.unsupportedKind), nil, .obstacle(.outsideBundle), .obstacle(.stopped),
            ])
    }

    @Test("old data sections are answered in their own form")
    func oldDataSection() throws {
        let text =
            SDPSamples.session(mids: ["0"])
            + SDPSamples.data(mid: "0").replacing("UDP/DTLS/SCTP webrtc-datachannel", with: "DTLS/SCTP 5000")
            .replacing("a=sctp-port:5000", with: "a=sctpmap:5000 webrtc-datachannel 1024")
        let answer = SDPSamples.answerer().answer(try SDPSamples.offer(text), decisions: [:])
        #expect(answer.description.media[0].formats == ["5000"])
        #expect(
            answer.description.media[0].attributes.contains(SDPAttribute(.sctpmap, "5000 webrtc-datachannel 1024")))
    }

    @Test(
        "the DTLS role answers the offered one and outlives renegotiation",
        arguments: [
            ("actpass", nil, SetupRole.active), ("active", nil, .passive), ("passive", nil, .active),
            ("actpass", SetupRole.passive, .passive), ("actpass", .active, .active),
        ])
    func roles(offered: String, established: SetupRole?, expected: SetupRole) throws {
        let text = SDPSamples.publishing.replacing("setup:actpass", with: "setup:\(offered)")
        var answerer = SDPSamples.answerer()
        answerer.establishedSetup = established
        let answer = answerer.answer(try SDPSamples.offer(text), decisions: [:])
        #expect(answer.setup == expected)
        for media in answer.description.media {
            #expect(media.attributes.contains(SDPAttribute(.setup, expected.rawValue)))
        }
    }

    @Test("every answer has the offer's sections and only its numbers", arguments: SDPSamples.all)
    func mirrors(_ sample: SDPSamples.Sample) throws {
        let offer = try SDPSamples.offer(sample.text)
        for choice in 0..<5 {
            var decisions: [String: SectionDecision] = [:]
            for section in offer.sections {
                switch choice {
                case 0: decisions[section.mid] = .receive(ReceivePreferences(allowsRED: true))
                case 1: decisions[section.mid] = .send(SDPSamples.camera)
                case 2: decisions[section.mid] = .send(SDPSamples.microphone)
                case 3: decisions[section.mid] = .receive(ReceivePreferences(codec: .only(.av1)))
                default: break
                }
            }
            let answer = SDPSamples.answerer().answer(offer, decisions: decisions)
            try AnswerInvariants.check(answer, offer)
        }
    }
}

/// What holds for every answer, whatever the offer was.
enum AnswerInvariants {
    static func check(_ answer: Answer, _ offer: RemoteDescription) throws {
        let written = try SDPParser.parse(SDPWriter.text(of: answer.description))
        #expect(written == answer.description)
        #expect(answer.description.media.count == offer.sections.count)
        #expect(answer.sections.count == offer.sections.count)
        let understood = try RemoteDescription(answer: written)
        #expect(understood.transport.usernameFragment == SDPSamples.local.iceUsernameFragment)
        for (index, section) in offer.sections.enumerated() {
            let media = answer.description.media[index]
            #expect(media.kind == section.kind)
            #expect(media.transportProtocol == section.description.transportProtocol)
            #expect(media.port == (section.obstacle == nil ? 9 : 0))
            #expect(media.connection != nil)
            #expect(answer.sections[index].mid == section.mid)
            #expect(understood.sections[index].mid == section.mid)
            guard section.obstacle == nil, !section.description.isDataChannel else { continue }
            #expect(!media.formats.isEmpty)
            #expect(Set(media.formats).isSubset(of: section.description.formats))
            for mapping in understood.sections[index].attributes.extensions {
                #expect(section.attributes.extensions.contains { $0.id == mapping.id && $0.known == mapping.known })
            }
        }
    }
}
