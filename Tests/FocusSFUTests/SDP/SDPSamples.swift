// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

/// Synthetic descriptions in the shape real clients write them. Keys, names and addresses are invented.
enum SDPSamples {
    static let fingerprint =
        "0A:1B:2C:3D:4E:5F:60:71:82:93:A4:B5:C6:D7:E8:F9:0A:1B:2C:3D:4E:5F:60:71:82:93:A4:B5:C6:D7:E8:F9"
    static let transportLines = """
        a=ice-ufrag:cLnt
        a=ice-pwd:clientpasswordclientpw00
        a=ice-options:trickle
        a=fingerprint:sha-256 \(fingerprint)
        a=setup:actpass

        """

    static func session(mids: [String], extra: String = "") -> String {
        """
        v=0
        o=- 7105523413561837463 2 IN IP4 127.0.0.1
        s=-
        t=0 0
        a=group:BUNDLE \(mids.joined(separator: " "))
        a=extmap-allow-mixed
        a=msid-semantic: WMS
        \(extra)
        """
    }

    static func data(mid: String) -> String {
        """
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel
        c=IN IP4 0.0.0.0
        \(transportLines)a=mid:\(mid)
        a=sctp-port:5000
        a=max-message-size:262144
        a=sctp-init:AQAAFAAAAAAAAAAAAAAAAAAAAAA=

        """
    }

    static func chromeAudio(mid: String, direction: String, msid: String = "") -> String {
        """
        m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
        c=IN IP4 0.0.0.0
        a=rtcp:9 IN IP4 0.0.0.0
        \(transportLines)a=mid:\(mid)
        a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
        a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
        a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
        a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
        a=extmap:14 http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time
        a=\(direction)
        \(msid)a=rtcp-mux
        a=rtcp-rsize
        a=rtpmap:111 opus/48000/2
        a=rtcp-fb:111 transport-cc
        a=fmtp:111 minptime=10;useinbandfec=1;sprop-stereo=1
        a=rtpmap:63 red/48000/2
        a=fmtp:63 111/111
        a=rtpmap:9 G722/8000
        a=rtpmap:0 PCMU/8000
        a=rtpmap:8 PCMA/8000
        a=rtpmap:13 CN/8000
        a=rtpmap:110 telephone-event/48000
        a=rtpmap:126 telephone-event/8000

        """
    }

    static let chromeVideoFormats = """
        a=rtpmap:96 VP8/90000
        a=rtcp-fb:96 goog-remb
        a=rtcp-fb:96 transport-cc
        a=rtcp-fb:96 ccm fir
        a=rtcp-fb:96 nack
        a=rtcp-fb:96 nack pli
        a=rtpmap:97 rtx/90000
        a=fmtp:97 apt=96
        a=rtpmap:103 H264/90000
        a=rtcp-fb:103 goog-remb
        a=rtcp-fb:103 transport-cc
        a=rtcp-fb:103 ccm fir
        a=rtcp-fb:103 nack
        a=rtcp-fb:103 nack pli
        a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
        a=rtpmap:104 rtx/90000
        a=fmtp:104 apt=103
        a=rtpmap:109 H264/90000
        a=rtcp-fb:109 nack
        a=rtcp-fb:109 nack pli
        a=fmtp:109 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
        a=rtpmap:114 rtx/90000
        a=fmtp:114 apt=109
        a=rtpmap:127 H264/90000
        a=fmtp:127 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=4d001f
        a=rtpmap:45 AV1/90000
        a=rtcp-fb:45 nack
        a=fmtp:45 level-idx=5;profile=0;tier=0
        a=rtpmap:46 rtx/90000
        a=fmtp:46 apt=45
        a=rtpmap:98 VP9/90000
        a=rtcp-fb:98 nack pli
        a=fmtp:98 profile-id=0
        a=rtpmap:99 rtx/90000
        a=fmtp:99 apt=98
        a=rtpmap:100 VP9/90000
        a=fmtp:100 profile-id=2
        a=rtpmap:116 red/90000
        a=rtpmap:118 ulpfec/90000

        """

    static func chromeVideo(mid: String, direction: String, msid: String = "", tail: String = "") -> String {
        """
        m=video 9 UDP/TLS/RTP/SAVPF 96 97 103 104 109 114 127 45 46 98 99 100 116 118
        c=IN IP4 0.0.0.0
        a=rtcp:9 IN IP4 0.0.0.0
        \(transportLines)a=mid:\(mid)
        a=extmap:13 urn:3gpp:video-orientation
        a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
        a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
        a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
        a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
        a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id
        a=extmap:12 https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension
        a=\(direction)
        \(msid)a=rtcp-mux
        a=rtcp-rsize
        \(chromeVideoFormats)\(tail)
        """
    }

    static let simulcast = """
        a=rid:q send
        a=rid:h send
        a=rid:f send
        a=simulcast:send q;~h;f

        """

    /// The first offer of a single connection: data and three spare sections of each kind.
    static let spareSections =
        session(mids: ["0", "1", "2", "3", "4", "5", "6"]) + data(mid: "0")
        + chromeAudio(mid: "1", direction: "recvonly") + chromeAudio(mid: "2", direction: "recvonly")
        + chromeAudio(mid: "3", direction: "recvonly") + chromeVideo(mid: "4", direction: "recvonly")
        + chromeVideo(mid: "5", direction: "recvonly") + chromeVideo(mid: "6", direction: "recvonly")

    /// A single connection that publishes a microphone and a simulcast camera and could take one more of each.
    static let publishing =
        session(mids: ["0", "1", "2", "3", "4"]) + data(mid: "0")
        + chromeAudio(mid: "1", direction: "recvonly") + chromeVideo(mid: "2", direction: "recvonly")
        + chromeAudio(mid: "3", direction: "sendonly", msid: "a=msid:- microphone-cid\n")
        + chromeVideo(mid: "4", direction: "sendonly", msid: "a=msid:- camera-cid\n", tail: simulcast)

    /// Firefox: fingerprint and direction at session level, `bundle-only`, other payload types, extmap directions.
    static let firefox = """
        v=0
        o=mozilla...THIS_IS_SDPARTA-99.0 4420613843510436111 0 IN IP4 0.0.0.0
        s=-
        t=0 0
        a=fingerprint:sha-256 \(fingerprint)
        a=group:BUNDLE 0 1
        a=ice-options:trickle
        a=msid-semantic:WMS *
        a=sendrecv
        m=audio 9 UDP/TLS/RTP/SAVPF 109 9 101
        c=IN IP4 0.0.0.0
        a=sendonly
        a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
        a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level
        a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
        a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
        a=ice-pwd:clientpasswordclientpw00
        a=ice-ufrag:c1ae0000
        a=mid:0
        a=msid:{stream} {track}
        a=rtcp-mux
        a=rtpmap:109 opus/48000/2
        a=rtpmap:9 G722/8000/1
        a=rtpmap:101 telephone-event/8000
        a=setup:actpass
        a=ssrc:1403459222 cname:{cname}
        m=video 0 UDP/TLS/RTP/SAVPF 120 124
        c=IN IP4 0.0.0.0
        a=bundle-only
        a=sendonly
        a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
        a=extmap:4/sendonly http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time
        a=extmap:7 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
        a=fmtp:120 max-fs=12288;max-fr=60
        a=fmtp:124 apt=120
        a=mid:1
        a=msid:{stream} {track2}
        a=rtcp-fb:120 nack
        a=rtcp-fb:120 nack pli
        a=rtcp-fb:* transport-cc
        a=rtcp-mux
        a=rtcp-rsize
        a=rtpmap:120 VP8/90000
        a=rtpmap:124 rtx/90000
        a=ssrc:2210 cname:{cname}
        a=ssrc:2211 cname:{cname}
        a=ssrc-group:FID 2210 2211

        """

    struct Sample: CustomTestStringConvertible {
        var testDescription: String
        var text: String
    }

    static let all = [
        Sample(testDescription: "spare sections", text: spareSections),
        Sample(testDescription: "publishing", text: publishing),
        Sample(testDescription: "Firefox", text: firefox),
    ]

    static let local = LocalTransport(
        iceUsernameFragment: "SrVr", icePassword: "serverpasswordserverpw00",
        fingerprint: fingerprint,
        candidates: ["candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host"],
        isICELite: true, sessionID: 4611686018427387904, version: 1)

    static let camera = OutgoingTrack(
        msid: MediaStreamIdentifier(stream: "PA_alice|TR_VCone", track: "TR_VCone"), ssrc: 1001, rtxSSRC: 1002,
        codec: .vp8, cname: "PA_alice|TR_VCone", isStereo: false, hasDependencyDescriptor: false)
    static let microphone = OutgoingTrack(
        msid: MediaStreamIdentifier(stream: "PA_alice|TR_AMone", track: "TR_AMone"), ssrc: 2001, rtxSSRC: nil,
        codec: .opus, cname: "PA_alice|TR_AMone", isStereo: true, hasDependencyDescriptor: false)

    static func offer(_ text: String) throws -> RemoteDescription {
        try RemoteDescription(offer: SDPParser.parse(text))
    }

    static func answerer(_ connection: Answerer.Connection = .single) -> Answerer {
        Answerer(transport: local, connection: connection, establishedSetup: nil)
    }

    /// The lines of one section, for golden comparisons.
    static func lines(_ description: SessionDescription, section: Int) -> [String] {
        var copy = description
        copy.media = [description.media[section]]
        let lines = SDPWriter.text(of: copy).split(separator: "\r\n").map(String.init)
        return Array(lines[(lines.firstIndex { $0.hasPrefix("m=") } ?? 0)...])
    }
}
