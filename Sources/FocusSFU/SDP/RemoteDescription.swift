// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A media section of a peer's description, understood.
package struct RemoteSection: Equatable, Sendable {
    /// Why a section carries nothing, whatever the room decides.
    package enum Obstacle: Equatable, Sendable {
        /// Port zero without `bundle-only`: the peer itself rejects or has stopped it.
        case stopped
        /// Outside the bundle; we have one transport only.
        case outsideBundle
        /// Neither RTP over DTLS nor data channels, or a second data section.
        case unsupportedKind
        /// RTCP on a port of its own.
        case withoutRTCPMux
    }

    package let index: Int
    /// Empty only in sections with an obstacle.
    package let mid: String
    package let description: MediaDescription
    package let attributes: SectionAttributes
    /// Nil when the section can be used.
    package let obstacle: Obstacle?

    package var kind: MediaDescription.Kind { description.kind }
    /// Seen by the peer.
    package var direction: MediaDirection { obstacle == nil ? attributes.direction : .inactive }

    /// The peer's formats that we forward, in its order of preference, each with the RTX that repairs it.
    package var codecs: [NegotiatedCodec] {
        var repairs = [UInt8?](repeating: nil, count: 128)
        for format in attributes.formats
        where format.encodingName.equalsIgnoringCase("rtx") && format.isSafeWithRTCPMux {
            guard let repaired = UInt8(sdpDigits: format.parameters.value(of: "apt") ?? ""), repaired < 128 else {
                continue
            }
            repairs[Int(repaired)] = repairs[Int(repaired)] ?? format.payloadType
        }
        return attributes.formats.compactMap { format in
            guard let codec = MediaCodec(format), codec.name.kind == kind else { return nil }
            return NegotiatedCodec(
                payloadType: format.payloadType, codec: codec, parameters: format.parameters,
                rtxPayloadType: repairs[Int(format.payloadType)], feedback: format.feedback)
        }
    }

    /// The peer's format that decodes `codec`, an exact one before one that covers it.
    package func codec(decoding codec: MediaCodec) -> NegotiatedCodec? {
        var best: (codec: NegotiatedCodec, decodability: MediaCodec.Decodability)?
        for candidate in codecs {
            let decodability = codec.decodability(by: candidate.codec)
            if decodability > best?.decodability ?? .none { best = (candidate, decodability) }
        }
        return best?.codec
    }
}

/// An offer or answer of a peer after all checks: every section understood and the common transport known.
package struct RemoteDescription: Equatable, Sendable {
    package let sections: [RemoteSection]
    package let transport: RemoteTransport
    /// Index of the section whose transport the bundle uses (RFC 8843 §7.1).
    package let taggedIndex: Int
    /// Indices of the bundled sections in the order of `a=group`; nil when the only section stands alone.
    package let bundle: [Int]?

    /// - Throws: ``SDPError`` for a malformed attribute, missing transport parameters, or nothing to use at all.
    package init(offer session: SessionDescription) throws(SDPError) {
        try self.init(session)
        if transport.setup == .holdconn { throw SDPError(.unsupportedSetup, at: .section(taggedIndex)) }
    }

    /// - Throws: as ``init(offer:)``, and when bundled sections disagree about their transport.
    package init(answer session: SessionDescription) throws(SDPError) {
        try self.init(session)
        guard transport.setup == .active || transport.setup == .passive else {
            throw SDPError(.unsupportedSetup, at: .section(taggedIndex))
        }
        // In an initial offer each section may have credentials of its own, of which only the tagged one's count
        // (RFC 8843 §7.2); in an answer the bundle is made and there can be only one set.
        for section in sections where section.obstacle == nil {
            let attributes = section.attributes
            if let fragment = attributes.iceUsernameFragment, fragment != transport.usernameFragment {
                throw SDPError(.conflictingTransport(.iceUsernameFragment), at: .section(section.index))
            }
            if let password = attributes.icePassword, password != transport.password {
                throw SDPError(.conflictingTransport(.icePassword), at: .section(section.index))
            }
            if let fingerprint = attributes.fingerprint, fingerprint != transport.fingerprint {
                throw SDPError(.conflictingTransport(.fingerprint), at: .section(section.index))
            }
        }
    }

    private init(_ session: SessionDescription) throws(SDPError) {
        var parsed: [(media: MediaDescription, attributes: SectionAttributes, isStopped: Bool)] = []
        var indexOfMid: [String: Int] = [:]
        let common = try SectionAttributes(of: session)
        for (index, media) in session.media.enumerated() {
            let isStopped = media.port == 0 && !media.attributes.contains { $0.name == .bundleOnly }
            var readable = media
            if isStopped { readable.attributes.removeAll { $0.name != .mid } }
            let attributes = try SectionAttributes(of: readable, at: index, inheriting: common)
            if let mid = attributes.mid {
                guard indexOfMid.updateValue(index, forKey: mid) == nil else {
                    throw SDPError(.duplicateMid, at: .section(index))
                }
            } else if !isStopped {
                throw SDPError(.missingAttribute(.mid), at: .section(index))
            }
            parsed.append((media, attributes, isStopped))
        }

        let bundled = try Self.bundle(of: session, indexOfMid: indexOfMid).filter { !parsed[$0].isStopped }
        guard let tagged = bundled.first ?? parsed.indices.first(where: { !parsed[$0].isStopped }) else {
            throw SDPError(.noUsableSection, at: .description)
        }
        let members = bundled.isEmpty ? [tagged] : Set(bundled)
        var hasData = false
        sections = parsed.enumerated().map { index, part in
            var obstacle: RemoteSection.Obstacle?
            if part.isStopped {
                obstacle = .stopped
            } else if !members.contains(index) {
                obstacle = .outsideBundle
            } else if part.media.isDataChannel, !hasData {
                hasData = true
            } else if !part.media.isSecureRTP || ![.audio, .video].contains(part.media.kind) {
                obstacle = .unsupportedKind
            } else if !part.attributes.multiplexesRTCP {
                obstacle = .withoutRTCPMux
            }
            return RemoteSection(
                index: index, mid: part.attributes.mid ?? "", description: part.media, attributes: part.attributes,
                obstacle: obstacle)
        }
        guard sections.contains(where: { $0.obstacle == nil }) else {
            throw SDPError(.noUsableSection, at: .description)
        }
        taggedIndex = tagged
        bundle = bundled.isEmpty ? nil : bundled
        let data = sections.first { $0.obstacle == nil && $0.description.isDataChannel }
        transport = try RemoteTransport(
            tagged: parsed[tagged].attributes, at: tagged, data: data?.attributes,
            isICELite: session.attributes.contains { $0.name == .iceLite })
    }

    /// Section indices of the first `a=group:BUNDLE`, in its order; none without one.
    private static func bundle(
        of session: SessionDescription,
        indexOfMid: [String: Int]
    ) throws(SDPError) -> [Int] {
        for attribute in session.attributes where attribute.name == .group {
            let fields = (attribute.value ?? "").sdpFields()
            guard fields.first == "BUNDLE" else { continue }
            var indices: [Int] = []
            var seen: Set<Int> = []
            for mid in fields.dropFirst() {
                guard let index = indexOfMid[String(mid)] else { throw SDPError(.unknownMidInGroup, at: .session) }
                if seen.insert(index).inserted { indices.append(index) }
            }
            return indices
        }
        return []
    }
}
