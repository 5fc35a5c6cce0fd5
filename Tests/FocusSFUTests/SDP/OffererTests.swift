// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Offers to subscribers and their answers, RFC 8829 §5.2")
struct OffererTests {
    private static let sections = [
        OfferedSection(mid: "data", content: .dataChannels),
        OfferedSection(mid: "0", content: .track(SDPSamples.microphone)),
        OfferedSection(mid: "1", content: .track(SDPSamples.camera)),
        OfferedSection(mid: "2", content: .vacantVideo),
        OfferedSection(mid: "3", content: .vacantAudio),
    ]

    private func offer() -> SessionDescription {
        Offerer(transport: SDPSamples.local).offer(Self.sections)
    }

    /// The answer a client would give: the offer's own sections turned around.
    private func clientAnswer(_ offer: SessionDescription) -> SessionDescription {
        var answer = offer
        for index in answer.media.indices {
            answer.media[index].attributes.removeAll { $0.name == .msid || $0.name == .ssrc || $0.name == .ssrcGroup }
            for position in answer.media[index].attributes.indices {
                switch answer.media[index].attributes[position].name.rawValue {
                case "sendonly":
                    answer.media[index].attributes[position] = SDPAttribute(SDPAttribute.Name(.recvonly))
                case "setup":
                    answer.media[index].attributes[position] = SDPAttribute(.setup, "active")
                case "ice-ufrag":
                    answer.media[index].attributes[position] = SDPAttribute(.iceUsernameFragment, "clnt")
                default: break
                }
            }
        }
        return answer
    }

    @Test("an offer with data, tracks and a vacant section")
    func golden() {
        let description = offer()
        #expect(description.attributes.first == SDPAttribute(.group, "BUNDLE data 0 1 2 3"))
        #expect(
            SDPSamples.lines(description, section: 0) == [
                "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=ice-ufrag:SrVr",
                "a=ice-pwd:serverpasswordserverpw00", "a=candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host",
                "a=end-of-candidates", "a=setup:actpass", "a=mid:data", "a=sctp-port:5000",
                "a=max-message-size:65535",
            ])
        #expect(
            SDPSamples.lines(description, section: 1) == [
                "m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 0.0.0.0", "a=ice-ufrag:SrVr",
                "a=ice-pwd:serverpasswordserverpw00", "a=setup:actpass", "a=mid:0", "a=sendonly", "a=rtcp-mux",
                "a=rtcp-rsize", "a=rtpmap:111 opus/48000/2",
                "a=fmtp:111 minptime=10;useinbandfec=1;sprop-stereo=1", "a=rtcp-fb:111 nack",
                "a=extmap:7 http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
                "a=msid:PA_alice|TR_AMone TR_AMone", "a=ssrc:2001 cname:PA_alice|TR_AMone",
                "a=ssrc:2001 msid:PA_alice|TR_AMone TR_AMone", "a=ssrc:2001 mslabel:PA_alice|TR_AMone",
                "a=ssrc:2001 label:TR_AMone",
            ])
        let video = SDPSamples.lines(description, section: 2)
        #expect(video[0] == "m=video 9 UDP/TLS/RTP/SAVPF 96 97")
        #expect(video.contains("a=ssrc-group:FID 1001 1002"))
        #expect(video.contains("a=extmap:6 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"))
        #expect(!video.contains { $0.contains("dependency-descriptor") || $0.contains("candidate") })
        let vacant = SDPSamples.lines(description, section: 3)
        #expect(vacant[0] == "m=video 9 UDP/TLS/RTP/SAVPF 96 97")
        #expect(vacant.contains("a=inactive"))
        #expect(!vacant.contains { $0.contains("msid") || $0.contains("ssrc") })
    }

    @Test("the dependency descriptor is offered with a publisher that writes it, RTX only with a stream for it")
    func trackShape() {
        var track = SDPSamples.camera
        track.codec = .av1
        track.hasDependencyDescriptor = true
        track.rtxSSRC = nil
        let description = Offerer(transport: SDPSamples.local).offer([OfferedSection(mid: "0", content: .track(track))])
        let lines = SDPSamples.lines(description, section: 0)
        #expect(lines[0] == "m=video 9 UDP/TLS/RTP/SAVPF 35")
        #expect(lines.contains("a=extmap:9 \(HeaderExtension.dependencyDescriptor.uri)"))
        #expect(!lines.contains { $0.contains("FID") })
    }

    @Test("an offer is a description clients can read back")
    func readable() throws {
        let description = offer()
        #expect(try SDPParser.parse(SDPWriter.text(of: description)) == description)
        let understood = try RemoteDescription(offer: description)
        #expect(understood.sections.allSatisfy { $0.obstacle == nil })
        #expect(understood.sections.map(\.direction) == [.sendrecv, .sendonly, .sendonly, .inactive, .inactive])
    }

    @Test("an accepting answer")
    func accepted() throws {
        let offer = offer()
        let result = try Offerer.apply(answer: clientAnswer(offer), to: offer)
        #expect(result.transport.usernameFragment == "clnt")
        #expect(result.transport.setup == .active)
        #expect(result.sections.map(\.mid) == ["data", "0", "1", "2", "3"])
        #expect(result.sections.map(\.direction) == [.sendrecv, .sendonly, .sendonly, .inactive, .inactive])
        #expect(result.sections[2].codecs.map(\.payloadType) == [96])
        #expect(result.sections[2].codecs.map(\.rtxPayloadType) == [97])
        #expect(result.sections[2].codecs.first?.usesPLI == true)
        #expect(result.sections[2].extensions.absoluteSendTime == 6)
    }

    @Test(
        "a section for both directions, as the client takes it",
        arguments: [
            (MediaDirection.sendrecv, MediaDirection.sendrecv), (.recvonly, .sendonly), (.sendonly, .recvonly),
            (.inactive, .inactive),
        ])
    func exchange(theirs: MediaDirection, agreed: MediaDirection) throws {
        let offer = Offerer(transport: SDPSamples.local).offer([
            OfferedSection(mid: "0", content: .exchange(SDPSamples.camera))
        ])
        let lines = SDPSamples.lines(offer, section: 0)
        #expect(lines.contains("a=sendrecv") && lines.contains("a=ssrc-group:FID 1001 1002"))
        #expect(lines.contains("a=rtcp-fb:96 transport-cc") && lines.contains("a=rtcp-fb:96 nack pli"))
        #expect(lines.contains { $0.hasSuffix("urn:ietf:params:rtp-hdrext:sdes:mid") })
        var answer = clientAnswer(offer)
        answer.media[0].attributes.removeAll { $0.name == SDPAttribute.Name(.sendrecv) }
        answer.media[0].append(SDPAttribute.Name(theirs))
        answer.media[0].append(.ssrc, "77 cname:client")
        let (sections, _) = try Offerer.apply(answer: answer, to: offer)
        #expect(sections[0].direction == agreed)
        #expect(sections[0].takesMedia == theirs.sends)
        #expect(sections[0].remoteSSRCs == (theirs.sends ? [77] : []))
        #expect(theirs == .inactive || sections[0].extensions.mid != 0)
    }

    @Test("a client may leave out RTX, feedback and extensions, turn a track down or reject its section")
    func partlyAccepted() throws {
        let offer = offer()
        var answer = clientAnswer(offer)
        answer.media[2].formats = ["96"]
        answer.media[2].attributes.removeAll {
            $0.name == .extmap || $0.value?.hasPrefix("97") ?? false || $0.value == "96 nack"
        }
        answer.media[1].attributes.removeAll { $0.name.rawValue == "recvonly" }
        answer.media[1].append(SDPAttribute.Name(.inactive))
        answer.media[4].port = 0
        answer.attributes[0].value = "BUNDLE data 0 1 2"
        let result = try Offerer.apply(answer: answer, to: offer)
        #expect(result.sections[2].codecs.map(\.rtxPayloadType) == [nil])
        #expect(result.sections[2].codecs.first?.usesNACK == false)
        #expect(result.sections[2].extensions == HeaderExtensionIDs())
        #expect(result.sections[1].refusal == .rejected)
        #expect(result.sections[1].direction == .inactive)
        #expect(result.sections[4].refusal == .rejected)
    }

    @Test("an answer with other payload types has no codec in common")
    func foreignPayloadType() throws {
        let offer = offer()
        var answer = clientAnswer(offer)
        answer.media[1].formats = ["109"]
        answer.media[1].append(.rtpmap, "109 opus/48000/2")
        #expect(try Offerer.apply(answer: answer, to: offer).sections[1].refusal == .noCommonCodec)
    }

    @Test("an answer that does not mirror the offer is refused")
    func mismatch() {
        let offer = offer()
        var short = clientAnswer(offer)
        short.media.removeLast()
        #expect(throws: SDPError(.sectionCountDiffers(offered: 5, answered: 4), at: .description)) {
            try Offerer.apply(answer: short, to: offer)
        }
        var swapped = clientAnswer(offer)
        swapped.media.swapAt(2, 3)
        #expect(throws: SDPError(.sectionDiffers, at: .section(2))) {
            try Offerer.apply(answer: swapped, to: offer)
        }
        var otherKind = clientAnswer(offer)
        otherKind.media[1].kind = .video
        #expect(throws: SDPError(.sectionDiffers, at: .section(1))) {
            try Offerer.apply(answer: otherKind, to: offer)
        }
    }
}
