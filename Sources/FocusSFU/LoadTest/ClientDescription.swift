// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The offers of a client of ours on its single connection: sections for what it sends, then sections for what
/// it receives. Sections are only ever added.
///
/// Codecs, feedback and extensions are those of a browser, cut down to Opus and VP8.
struct ClientDescription {
    static let opus: UInt8 = 111
    static let vp8: UInt8 = 96
    static let vp8RTX: UInt8 = 97
    static let audioLevelID: UInt8 = 1

    private enum Content {
        case sending(ssrc: UInt32, cid: String)
        case receiving
    }

    private struct Section {
        var isVideo: Bool
        var content: Content
    }

    private let endpoint: LoadEndpoint
    private let sessionID = Random.uint64() >> 2
    /// Of the last offer; grows by one with each.
    private(set) var version: UInt64 = 0
    private var sections: [Section] = []

    init(_ endpoint: LoadEndpoint) {
        self.endpoint = endpoint
    }

    mutating func addSending(isVideo: Bool, ssrc: UInt32, cid: String) {
        sections.append(Section(isVideo: isVideo, content: .sending(ssrc: ssrc, cid: cid)))
    }

    /// Sections beyond what a description may hold are left out: nothing answers them.
    mutating func addReceiving(isVideo: Bool, count: Int) {
        for _ in 0..<max(0, min(count, SDPParser.Limit.sections - sections.count)) {
            sections.append(Section(isVideo: isVideo, content: .receiving))
        }
    }

    /// The next offer, as SDP.
    mutating func offer() -> String {
        version += 1
        let transport = LocalTransport(
            iceUsernameFragment: endpoint.credentials.usernameFragment, icePassword: endpoint.credentials.password,
            fingerprint: endpoint.fingerprint.hexadecimal, candidates: [], isICELite: false, sessionID: sessionID,
            version: version)
        var description = transport.makeDescription(
            bundledMids: sections.indices.map(String.init), allowsMixedExtmap: true)
        for (index, section) in sections.enumerated() {
            var media = Self.media(section)
            transport.write(into: &media, setup: .actpass, withCandidates: false)
            media.append(.mid, "\(index)")
            description.media.append(media)
        }
        return SDPWriter.text(of: description)
    }

    private static func media(_ section: Section) -> MediaDescription {
        var media = MediaDescription(
            kind: section.isVideo ? .video : .audio, port: 9, transportProtocol: "UDP/TLS/RTP/SAVPF",
            formats: section.isVideo ? ["\(vp8)", "\(vp8RTX)"] : ["\(opus)"], connection: "IN IP4 0.0.0.0")
        media.append(.rtcpMux)
        media.append(.rtcpReducedSize)
        if section.isVideo {
            media.append(.rtpmap, "\(vp8) VP8/90000")
            for feedback in ["ccm fir", "nack", "nack pli"] { media.append(.rtcpFeedback, "\(vp8) \(feedback)") }
            media.append(.rtpmap, "\(vp8RTX) rtx/90000")
            media.append(.fmtp, "\(vp8RTX) apt=\(vp8)")
        } else {
            media.append(.rtpmap, "\(opus) opus/48000/2")
            media.append(.fmtp, "\(opus) minptime=10;useinbandfec=1")
            media.append(.extmap, "\(audioLevelID) \(HeaderExtension.audioLevel.uri)")
        }
        switch section.content {
        case .sending(let ssrc, let cid):
            media.append(SDPAttribute.Name(.sendonly))
            media.append(.msid, "- \(cid)")
            media.append(.ssrc, "\(ssrc) cname:callbridge")
        case .receiving:
            media.append(SDPAttribute.Name(.recvonly))
        }
        return media
    }

    /// What the server's description says it will send: the media streams, by SSRC.
    static func streams(sentBy description: RemoteDescription) -> [UInt32] {
        description.sections.filter { $0.direction.sends }.compactMap { section in
            section.attributes.repairPairs.first?.media ?? section.attributes.ssrcs.first
        }
    }
}
