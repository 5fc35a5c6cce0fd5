// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What the room wants of one section of a client's offer.
package enum SectionDecision: Equatable, Sendable {
    /// Take the client's track.
    case receive(ReceivePreferences)
    /// Bring the client a track.
    case send(OutgoingTrack)
    /// Take the client's track and bring it one of the same codec in the same section.
    case exchange(ReceivePreferences, OutgoingTrack)
    /// Nothing now; the section stays open for later.
    case inactive
}

/// How a client's track is to be received.
package struct ReceivePreferences: Equatable, Sendable {
    package enum Codec: Equatable, Sendable {
        /// As the client orders them.
        case any
        /// This one before the others.
        case first(CodecName)
        /// This one alone, for clients that send the first codec of their own list whatever the answer's order.
        case only(CodecName)
    }

    package var codec: Codec
    package var isStereo: Bool
    package var allowsDTX: Bool
    /// Redundant audio (RFC 2198), before plain Opus.
    package var allowsRED: Bool
    /// What may be published at all.
    package var enabled: Set<CodecName>

    package init(
        codec: Codec = .any, isStereo: Bool = false, allowsDTX: Bool = true, allowsRED: Bool = false,
        enabled: Set<CodecName> = Set(CodecName.allCases)
    ) {
        self.codec = codec
        self.enabled = enabled
        self.isStereo = isStereo
        self.allowsDTX = allowsDTX
        self.allowsRED = allowsRED
    }
}

/// Our answer with what it means for the transport.
package struct Answer: Equatable, Sendable {
    package var description: SessionDescription
    /// One for each section of the offer, in its order.
    package var sections: [NegotiatedSection]
    /// Our DTLS role: `active` or `passive`.
    package var setup: SetupRole
}

/// Answers a client's offers (RFC 3264 §6, RFC 8829 §5.3).
///
/// An answer has exactly the offer's sections in the offer's order and reuses its payload types and extension ids.
/// Sections are kept open with port 9 even when nothing flows; port 0 is for what can never carry anything.
package struct Answerer: Sendable {
    package enum Connection: Sendable {
        /// Carries only what the client publishes.
        case publisher
        /// Carries both directions.
        case single
    }

    package var transport: LocalTransport
    package var connection: Connection
    /// The role of a DTLS association that is already up and must stay (RFC 8842 §5.5).
    package var establishedSetup: SetupRole?

    package init(transport: LocalTransport, connection: Connection, establishedSetup: SetupRole?) {
        self.transport = transport
        self.connection = connection
        self.establishedSetup = establishedSetup
    }

    /// Builds the answer to an offer.
    ///
    /// - Parameters:
    ///   - offer: what the client sent.
    ///   - decisions: by mid; a section without one goes inactive. Data sections are always accepted.
    /// - Returns: the description to send and what was agreed on. There is an answer to every offer that was
    ///   understood.
    package func answer(_ offer: RemoteDescription, decisions: [String: SectionDecision]) -> Answer {
        let setup = setup(for: offer.transport.setup)
        let accepted = offer.sections.filter { $0.obstacle == nil }
        let bundledMids = offer.bundle.map { indices in
            indices.map { offer.sections[$0] }.filter { $0.obstacle == nil }.map(\.mid)
        }
        let candidateMid = bundledMids?.first ?? accepted.first?.mid
        var description = transport.makeDescription(
            bundledMids: bundledMids,
            allowsMixedExtmap: accepted.allSatisfy { $0.attributes.allowsMixedExtmap })
        var sections: [NegotiatedSection] = []
        for section in offer.sections {
            var negotiated = NegotiatedSection(section)
            var media = MediaDescription(
                kind: section.kind, port: 9, transportProtocol: section.description.transportProtocol, formats: [],
                connection: "IN IP4 0.0.0.0")
            if let obstacle = section.obstacle {
                negotiated.refusal = .obstacle(obstacle)
                reject(section, in: &media)
            } else {
                transport.write(into: &media, setup: setup, withCandidates: section.mid == candidateMid)
                media.append(.mid, section.mid)
                if section.description.isDataChannel {
                    negotiated.direction = .sendrecv
                    writeDataChannel(section, into: &media)
                } else {
                    let decision = decisions[section.mid] ?? .inactive
                    answer(section, decision, negotiated: &negotiated, media: &media)
                }
            }
            description.media.append(media)
            sections.append(negotiated)
        }
        return Answer(description: description, sections: sections, setup: setup)
    }

    private func setup(for offered: SetupRole) -> SetupRole {
        switch offered {
        case .active: .passive
        case .passive: .active
        case .actpass, .holdconn: establishedSetup == .passive ? .passive : .active
        }
    }

    private func reject(_ section: RemoteSection, in media: inout MediaDescription) {
        media.port = 0
        media.formats = section.description.formats
        if !section.mid.isEmpty { media.append(.mid, section.mid) }
        if section.kind != .application { media.append(SDPAttribute.Name(.inactive)) }
    }

    private func writeDataChannel(_ section: RemoteSection, into media: inout MediaDescription) {
        media.formats = section.description.formats
        if media.formats.first == "webrtc-datachannel" {
            media.append(.sctpPort, "\(LocalTransport.sctpPort)")
        } else {
            media.formats = ["\(LocalTransport.sctpPort)"]
            media.append(.sctpmap, "\(LocalTransport.sctpPort) webrtc-datachannel 1024")
        }
        media.append(.maxMessageSize, "\(LocalTransport.maxMessageSize)")
    }

    private func answer(
        _ section: RemoteSection,
        _ decision: SectionDecision,
        negotiated: inout NegotiatedSection,
        media: inout MediaDescription
    ) {
        var outgoing: OutgoingTrack?
        var codecs: [NegotiatedCodec] = []
        switch decision {
        case .receive(let preferences):
            if section.direction.sends {
                codecs = receivedCodecs(of: section, preferences)
                negotiated.refusal = codecs.isEmpty ? .noCommonCodec : nil
                negotiated.direction = codecs.isEmpty ? .inactive : .recvonly
            } else {
                negotiated.refusal = .direction
            }
        case .send(let track):
            if section.direction.receives {
                codecs = sentCodecs(of: section, track)
                negotiated.refusal = codecs.isEmpty ? .noCommonCodec : nil
                negotiated.direction = codecs.isEmpty ? .inactive : .sendonly
                outgoing = codecs.isEmpty ? nil : track
            } else {
                negotiated.refusal = .direction
            }
        case .exchange(let preferences, let track):
            if section.direction == .sendrecv {
                // One format: the one we send is the one we get.
                codecs = Array(
                    receivedCodecs(of: section, preferences).filter { $0.codec == track.codec }.prefix(1))
                negotiated.refusal = codecs.isEmpty ? .noCommonCodec : nil
                negotiated.direction = codecs.isEmpty ? .inactive : .sendrecv
                outgoing = codecs.isEmpty ? nil : track
            } else {
                negotiated.refusal = .direction
            }
        case .inactive:
            break
        }
        if negotiated.direction == .inactive { codecs = receivedCodecs(of: section, ReceivePreferences()) }
        negotiated.codecs = codecs

        media.append(SDPAttribute.Name(negotiated.direction))
        media.append(.rtcpMux)
        if section.attributes.reducesRTCPSize { media.append(.rtcpReducedSize) }
        write(codecs, of: section, into: &media)
        switch negotiated.direction {
        case .recvonly:
            let wanted = HeaderExtension.receiving(section.kind, singleConnection: connection == .single)
            let offered = section.attributes.extensions.filter { $0.direction?.sends ?? true }
            write(offered.filter { wanted.contains($0.known) }, negotiated: &negotiated, media: &media)
            writeRestrictionIdentifiers(section, negotiated: &negotiated, media: &media)
            negotiated.takeStreams(of: section)
        case .sendrecv:
            let wanted = HeaderExtension.receiving(section.kind, singleConnection: connection == .single)
            write(
                section.attributes.extensions.filter { wanted.contains($0.known) }, negotiated: &negotiated,
                media: &media)
            negotiated.takeStreams(of: section)
            outgoing?.write(into: &media, withRTX: codecs.contains { $0.rtxPayloadType != nil })
        case .sendonly, .inactive:
            // NOTE: libwebrtc leaves out of its next offers what an answer did not take, in all sections of the bundle,
            // and then refuses its own simulcast offer for want of the RID extension. So what we take from a sending
            // client is accepted here as well.
            let wanted = HeaderExtension.receiving(section.kind, singleConnection: connection == .single)
                .union(outgoing.map(HeaderExtension.sending) ?? [])
            let offered = section.attributes.extensions.filter { $0.direction?.receives ?? true }
            write(offered.filter { wanted.contains($0.known) }, negotiated: &negotiated, media: &media)
            outgoing?.write(into: &media, withRTX: codecs.contains { $0.rtxPayloadType != nil })
        }
    }

    private func receivedCodecs(of section: RemoteSection, _ preferences: ReceivePreferences) -> [NegotiatedCodec] {
        let allowed = CodecPreferences.receivingFeedback(section.kind, singleConnection: connection == .single)
        var offered = section.codecs.filter { preferences.enabled.contains($0.name) }
        let opusTypes = offered.filter { $0.codec == .opus }.map(\.payloadType)
        offered.removeAll { candidate in
            guard candidate.codec == .red else { return false }
            let carried = candidate.parameters.text.split(separator: "/").map { UInt8(sdpDigits: $0) }
            return !preferences.allowsRED || opusTypes.isEmpty
                || !carried.allSatisfy { $0.map(opusTypes.contains) ?? false }
        }
        var ordered = offered.filter { $0.codec == .red } + offered.filter { $0.codec != .red }
        switch preferences.codec {
        case .any:
            break
        case .first(let name):
            ordered = ordered.filter { $0.name == name } + ordered.filter { $0.name != name }
        case .only(let name):
            let requested = ordered.filter { $0.name == name }
            if !requested.isEmpty { ordered = requested }
        }
        for index in ordered.indices {
            ordered[index].feedback.formIntersection(allowed)
            guard ordered[index].codec == .opus else { continue }
            ordered[index].feedback.insert(.nack)
            var parameters = CodecPreferences.opusParameters
            if preferences.allowsDTX { parameters += ";usedtx=1" }
            if preferences.isStereo { parameters += ";stereo=1;maxaveragebitrate=510000" }
            ordered[index].parameters = FormatParameters(parameters)
        }
        return ordered
    }

    private func sentCodecs(of section: RemoteSection, _ track: OutgoingTrack) -> [NegotiatedCodec] {
        guard track.codec.name.kind == section.kind, let codec = section.codec(decoding: track.codec) else { return [] }
        var codecs = [codec]
        if track.codec == .red {
            guard let opus = section.codec(decoding: .opus) else { return [] }
            codecs.append(opus)
        }
        return track.adapt(codecs)
    }

    /// Formats and their lines. Without a common codec the first offered format is repeated, as an `m=` line needs one
    /// and the section must not be rejected.
    private func write(_ codecs: [NegotiatedCodec], of section: RemoteSection, into media: inout MediaDescription) {
        for codec in codecs { codec.write(into: &media) }
        guard codecs.isEmpty, let first = section.attributes.formats.first else { return }
        media.formats = ["\(first.payloadType)"]
        guard !first.encodingName.isEmpty else { return }
        let channels = first.channels > 1 ? "/\(first.channels)" : ""
        media.append(.rtpmap, "\(first.payloadType) \(first.encodingName)/\(first.clockRate)\(channels)")
    }

    private func write(
        _ mappings: [ExtensionMapping],
        negotiated: inout NegotiatedSection,
        media: inout MediaDescription
    ) {
        for mapping in mappings {
            let direction = mapping.direction.map { "/\($0.reversed.rawValue)" } ?? ""
            media.append(.extmap, "\(mapping.id)\(direction) \(mapping.known.uri)")
            negotiated.extensions[mapping.known] = mapping.id
        }
    }

    private func writeRestrictionIdentifiers(
        _ section: RemoteSection,
        negotiated: inout NegotiatedSection,
        media: inout MediaDescription
    ) {
        let identifiers = section.attributes.restrictionIdentifiers
        for identifier in identifiers { media.append(.rid, "\(identifier) recv") }
        if section.attributes.hasSimulcast, !identifiers.isEmpty {
            media.append(.simulcast, "recv \(identifiers.joined(separator: ";"))")
        }
        negotiated.restrictionIdentifiers = identifiers
    }
}

extension SDPAttribute.Name {
    /// A direction is an attribute name of its own (RFC 8866 §6.7).
    init(_ direction: MediaDirection) {
        self.init(rawValue: direction.rawValue)
    }
}
