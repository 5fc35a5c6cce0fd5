// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One section of an offer of ours. Order and mids stay as they are for the life of a connection.
package struct OfferedSection: Equatable, Sendable {
    package enum Content: Equatable, Sendable {
        case dataChannels
        case track(OutgoingTrack)
        /// A track that we bring, in a section that takes one of the client's of the same codec.
        case exchange(OutgoingTrack)
        /// A section whose track has gone; it may be given another one of its kind.
        case vacantAudio
        case vacantVideo
    }

    package var mid: String
    package var content: Content

    package init(mid: String, content: Content) {
        self.mid = mid
        self.content = content
    }
}

/// Writes the offers of the connection that brings tracks to a client, and reads the client's answers.
package struct Offerer: Sendable {
    package var transport: LocalTransport

    package init(transport: LocalTransport) {
        self.transport = transport
    }

    /// An `actpass` offer with one bundle over all sections. Candidates stand in the first section only.
    package func offer(_ sections: [OfferedSection]) -> SessionDescription {
        var description = transport.makeDescription(bundledMids: sections.map(\.mid), allowsMixedExtmap: true)
        for (index, section) in sections.enumerated() {
            var media: MediaDescription
            switch section.content {
            case .dataChannels: media = bare(.application)
            case .track(let track), .exchange(let track): media = bare(track.codec.name.kind)
            case .vacantAudio: media = bare(.audio)
            case .vacantVideo: media = bare(.video)
            }
            transport.write(into: &media, setup: .actpass, withCandidates: index == 0)
            media.append(.mid, section.mid)
            switch section.content {
            case .dataChannels:
                media.append(.sctpPort, "\(LocalTransport.sctpPort)")
                media.append(.maxMessageSize, "\(LocalTransport.maxMessageSize)")
            case .track(let track):
                write(track, into: &media)
            case .exchange(let track):
                write(exchange: track, into: &media)
            case .vacantAudio:
                write([CodecPreferences.offered(.opus)], direction: .inactive, into: &media)
            case .vacantVideo:
                write([CodecPreferences.offered(.vp8)], direction: .inactive, into: &media)
            }
            description.media.append(media)
        }
        return description
    }

    private func bare(_ kind: MediaDescription.Kind) -> MediaDescription {
        MediaDescription(
            kind: kind, port: 9,
            transportProtocol: kind == .application ? "UDP/DTLS/SCTP" : "UDP/TLS/RTP/SAVPF",
            formats: kind == .application ? ["webrtc-datachannel"] : [], connection: "IN IP4 0.0.0.0")
    }

    private func write(_ track: OutgoingTrack, into media: inout MediaDescription) {
        let names: [MediaCodec] = track.codec == .red ? [.red, .opus] : [track.codec]
        let codecs = track.adapt(names.map(CodecPreferences.offered))
        write(codecs, direction: .sendonly, into: &media)
        for known in HeaderExtension.sending(track).sorted(by: { $0.offeredID < $1.offeredID }) {
            media.append(.extmap, "\(known.offeredID) \(known.uri)")
        }
        track.write(into: &media, withRTX: codecs.contains { $0.rtxPayloadType != nil })
    }

    private func write(exchange track: OutgoingTrack, into media: inout MediaDescription) {
        let kind = track.codec.name.kind
        var codec = CodecPreferences.offered(track.codec)
        codec.feedback.formUnion(CodecPreferences.receivingFeedback(kind, singleConnection: true))
        write([codec], direction: .sendrecv, into: &media)
        let extensions = HeaderExtension.sending(track).union(
            HeaderExtension.receiving(kind, singleConnection: true))
        for known in extensions.sorted(by: { $0.offeredID < $1.offeredID }) {
            media.append(.extmap, "\(known.offeredID) \(known.uri)")
        }
        track.write(into: &media, withRTX: codec.rtxPayloadType != nil)
    }

    private func write(_ codecs: [NegotiatedCodec], direction: MediaDirection, into media: inout MediaDescription) {
        media.append(SDPAttribute.Name(direction))
        media.append(.rtcpMux)
        media.append(.rtcpReducedSize)
        for codec in codecs { codec.write(into: &media) }
    }

    /// What the client accepted of an offer of ours.
    ///
    /// - Returns: one section for each offered one, in order, and the client's transport.
    /// - Throws: ``SDPError`` when the answer is malformed or does not mirror the offer's sections (RFC 3264 §6).
    package static func apply(
        answer: SessionDescription,
        to offer: SessionDescription
    ) throws(SDPError) -> (sections: [NegotiatedSection], transport: RemoteTransport) {
        guard answer.media.count == offer.media.count else {
            throw SDPError(
                .sectionCountDiffers(offered: offer.media.count, answered: answer.media.count), at: .description)
        }
        let answered = try RemoteDescription(answer: answer)
        let offered = try RemoteDescription(offer: offer)
        var sections: [NegotiatedSection] = []
        for (ours, theirs) in zip(offered.sections, answered.sections) {
            // A rejected section may come back without its mid.
            guard ours.kind == theirs.kind, ours.mid == theirs.mid || theirs.obstacle == .stopped && theirs.mid.isEmpty
            else { throw SDPError(.sectionDiffers, at: .section(ours.index)) }
            var negotiated = NegotiatedSection(theirs)
            negotiated.mid = ours.mid
            negotiate(ours, theirs, &negotiated)
            sections.append(negotiated)
        }
        return (sections, answered.transport)
    }

    private static func negotiate(
        _ ours: RemoteSection,
        _ theirs: RemoteSection,
        _ negotiated: inout NegotiatedSection
    ) {
        if let obstacle = theirs.obstacle {
            negotiated.refusal = obstacle == .stopped ? .rejected : .obstacle(obstacle)
            return
        }
        if ours.description.isDataChannel {
            negotiated.direction = .sendrecv
            return
        }
        guard ours.direction.sends else { return }
        let takesTheirs = ours.direction.receives && theirs.direction.sends
        guard theirs.direction.receives || takesTheirs else {
            negotiated.refusal = .rejected
            return
        }
        let accepted = theirs.codecs
        for codec in ours.codecs {
            guard let match = accepted.first(where: { $0.payloadType == codec.payloadType && $0.name == codec.name })
            else { continue }
            var codec = codec
            codec.feedback.formIntersection(match.feedback)
            if codec.rtxPayloadType != match.rtxPayloadType { codec.rtxPayloadType = nil }
            negotiated.codecs.append(codec)
        }
        guard !negotiated.codecs.isEmpty else {
            negotiated.refusal = .noCommonCodec
            return
        }
        negotiated.direction = theirs.direction.receives ? takesTheirs ? .sendrecv : .sendonly : .recvonly
        if takesTheirs { negotiated.takeStreams(of: theirs) }
        for mapping in ours.attributes.extensions {
            let isAccepted = theirs.attributes.extensions.contains {
                $0.known == mapping.known && $0.id == mapping.id && $0.direction?.receives ?? true
            }
            if isAccepted { negotiated.extensions[mapping.known] = mapping.id }
        }
    }
}
