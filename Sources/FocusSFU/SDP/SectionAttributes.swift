// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What the attributes of one media section say, in types; session-level values stand in where RFC 8866 lets them.
///
/// Unknown attributes are passed over. Those of a rejected section are not read at all.
package struct SectionAttributes: Equatable, Sendable {
    enum Limit {
        static let streams = 64
        static let repairPairs = 32
        static let restrictionIdentifiers = 16
        static let iceOptions = 16
        static let midBytes = 64
    }

    package private(set) var mid: String?
    package private(set) var direction: MediaDirection = .sendrecv
    package private(set) var iceUsernameFragment: String?
    package private(set) var icePassword: String?
    package private(set) var iceOptions: [String] = []
    package private(set) var candidates: [String] = []
    package private(set) var hasEndOfCandidates = false
    package private(set) var fingerprint: CertificateFingerprint?
    package private(set) var setup: SetupRole?
    package private(set) var multiplexesRTCP = false
    package private(set) var reducesRTCPSize = false
    package private(set) var isBundleOnly = false
    package private(set) var allowsMixedExtmap = false
    package private(set) var sctpPort: UInt16?
    package private(set) var maxMessageSize: UInt64?
    /// In the order of the `m=` line.
    package private(set) var formats: [RTPFormat] = []
    package private(set) var extensions: [ExtensionMapping] = []
    package private(set) var msid: MediaStreamIdentifier?
    /// Every stream named by an `a=ssrc` line, in order of appearance.
    package private(set) var ssrcs: [UInt32] = []
    package private(set) var repairPairs: [RepairPair] = []

    /// Declared by `a=rid` with direction `send`.
    private var sentRestrictionIdentifiers: [String] = []
    /// As `a=simulcast:send` orders them; nil without that attribute.
    private var simulcastOrder: [String]?
    private var hasForeignFingerprint = false
    private var hasDirection = false
    private var hasExtensions = false
    private var indexOfPayloadType = [UInt8](repeating: .max, count: 128)

    /// What the session level says for all sections. It is read once and not for each: its length times the number of
    /// sections would be work enough to stop a worker.
    ///
    /// - Throws: ``SDPError`` naming the attribute.
    package init(of session: SessionDescription) throws(SDPError) {
        for attribute in session.attributes {
            switch attribute.name {
            case .fingerprint, .setup, .iceUsernameFragment, .icePassword, .iceOptions, .extmapAllowMixed, .extmap:
                try read(attribute, at: .session)
            case let name where MediaDirection(rawValue: name.rawValue) != nil:
                try read(attribute, at: .session)
            default: break
            }
        }
    }

    /// - Parameter session: The attributes of the session level.
    /// - Throws: ``SDPError`` naming the section and attribute.
    package init(
        of media: MediaDescription,
        at index: Int,
        inheriting session: SectionAttributes
    ) throws(SDPError) {
        if media.isSecureRTP { try readFormats(media.formats, at: index) }
        for attribute in media.attributes {
            try read(attribute, at: .section(index))
        }
        if media.isDataChannel, sctpPort == nil {
            // The older form `m=application 9 DTLS/SCTP 5000` (draft-ietf-mmusic-sctp-sdp-05).
            sctpPort = media.formats.first.flatMap { UInt16(sdpDigits: $0) }
        }
        try inherit(from: session)
        if fingerprint == nil, hasForeignFingerprint { throw SDPError(.unsupportedFingerprint, at: .section(index)) }
    }

    package var hasSimulcast: Bool { simulcastOrder != nil }

    /// The rids the peer sends, in its own order: lowest layer first.
    package var restrictionIdentifiers: [String] {
        simulcastOrder?.filter(sentRestrictionIdentifiers.contains) ?? sentRestrictionIdentifiers
    }

    private mutating func readFormats(_ texts: [String], at index: Int) throws(SDPError) {
        for text in texts {
            guard let payloadType = UInt8(sdpDigits: text), payloadType < 128 else {
                throw SDPError(.malformedAttribute(.rtpmap), at: .section(index))
            }
            guard indexOfPayloadType[Int(payloadType)] == .max else {
                throw SDPError(.duplicatePayloadType(payloadType), at: .section(index))
            }
            indexOfPayloadType[Int(payloadType)] = UInt8(formats.count)
            formats.append(RTPFormat(payloadType: payloadType))
        }
    }

    /// Session-level values count only where the section has none of its own.
    private mutating func inherit(from session: SectionAttributes) throws(SDPError) {
        if fingerprint == nil, !hasForeignFingerprint {
            fingerprint = session.fingerprint
            hasForeignFingerprint = session.hasForeignFingerprint
        }
        setup = setup ?? session.setup
        if iceUsernameFragment == nil, icePassword == nil {
            iceUsernameFragment = session.iceUsernameFragment
            icePassword = session.icePassword
        }
        guard iceOptions.count + session.iceOptions.count <= Limit.iceOptions else {
            throw SDPError(.tooManyValues(.iceOptions, limit: Limit.iceOptions), at: .session)
        }
        iceOptions += session.iceOptions
        allowsMixedExtmap = allowsMixedExtmap || session.allowsMixedExtmap
        if !hasExtensions { extensions = session.extensions }
        if !hasDirection { direction = session.direction }
    }

    private mutating func read(_ attribute: SDPAttribute, at place: SDPError.Place) throws(SDPError) {
        let malformed = SDPError(.malformedAttribute(attribute.name), at: place)
        let value = attribute.value ?? ""
        switch attribute.name {
        case .mid:
            guard mid == nil, SDPCharacters.isToken(value, maximum: Limit.midBytes) else { throw malformed }
            mid = value
        case .iceUsernameFragment:
            guard SDPCharacters.isICEText(value, length: 4...256) else { throw malformed }
            iceUsernameFragment = value
        case .icePassword:
            guard SDPCharacters.isICEText(value, length: 22...256) else { throw malformed }
            icePassword = value
        case .iceOptions:
            let options = value.sdpFields()
            guard iceOptions.count + options.count <= Limit.iceOptions else {
                throw SDPError(.tooManyValues(.iceOptions, limit: Limit.iceOptions), at: place)
            }
            iceOptions += options.map(String.init)
        case .candidate: candidates.append("candidate:\(value)")
        case .endOfCandidates: hasEndOfCandidates = true
        case .fingerprint: try readFingerprint(value, malformed)
        case .setup:
            guard let role = SetupRole(rawValue: value) else { throw malformed }
            setup = role
        case .rtcpMux, .rtcpMuxOnly: multiplexesRTCP = true
        case .rtcpReducedSize: reducesRTCPSize = true
        case .bundleOnly: isBundleOnly = true
        case .extmapAllowMixed: allowsMixedExtmap = true
        case .sctpPort: sctpPort = try number(value, malformed)
        case .sctpmap: sctpPort = try number(value.sdpFields().first ?? "", malformed)
        case .maxMessageSize: maxMessageSize = try number(value, malformed)
        case .rtpmap, .fmtp, .rtcpFeedback: try readFormatAttribute(attribute.name, value, malformed)
        case .extmap: try readExtmap(value, place, malformed)
        case .msid: try readMSID(value, malformed)
        case .ssrc: try readSSRC(value, place, malformed)
        case .ssrcGroup: try readSSRCGroup(value, place, malformed)
        case .rid: try readRestrictionIdentifier(value, place, malformed)
        case .simulcast: try readSimulcast(value, malformed)
        default:
            guard let direction = MediaDirection(rawValue: attribute.name.rawValue) else { break }
            self.direction = direction
            hasDirection = true
        }
    }

    private func number<Number: FixedWidthInteger>(
        _ text: some StringProtocol,
        _ malformed: SDPError
    ) throws(SDPError) -> Number {
        guard let number = Number(sdpDigits: text) else { throw malformed }
        return number
    }

    private mutating func readFingerprint(_ value: String, _ malformed: SDPError) throws(SDPError) {
        let fields = value.sdpFields()
        guard fields.count == 2 else { throw malformed }
        guard fields[0].equalsIgnoringCase("sha-256") else {
            hasForeignFingerprint = true
            return
        }
        guard let parsed = CertificateFingerprint(hexadecimal: fields[1]) else { throw malformed }
        fingerprint = parsed
    }

    private mutating func readFormatAttribute(
        _ name: SDPAttribute.Name,
        _ value: String,
        _ malformed: SDPError
    ) throws(SDPError) {
        let fields = value.sdpFields(maxSplits: 1)
        guard fields.count == 2 else { throw malformed }
        if fields[0] == "*", name == .rtcpFeedback {
            let feedback = RTCPFeedback(spelling: String(fields[1]))
            for index in formats.indices { formats[index].feedback.formUnion(feedback) }
            return
        }
        guard let payloadType = UInt8(sdpDigits: fields[0]), payloadType < 128 else { throw malformed }
        let index = Int(indexOfPayloadType[Int(payloadType)])
        // Lines about payload types the section does not offer mean nothing.
        guard index < formats.count else { return }
        switch name {
        case .rtpmap:
            guard formats[index].readMapping(fields[1]) else { throw malformed }
        case .fmtp:
            formats[index].parameters = FormatParameters(String(fields[1]))
        default:
            formats[index].feedback.formUnion(RTCPFeedback(spelling: String(fields[1])))
        }
    }

    private mutating func readExtmap(
        _ value: String,
        _ place: SDPError.Place,
        _ malformed: SDPError
    ) throws(SDPError) {
        hasExtensions = true
        let fields = value.sdpFields(maxSplits: 2)
        guard fields.count >= 2 else { throw malformed }
        let parts = fields[0].split(separator: "/", omittingEmptySubsequences: false)
        guard 1...2 ~= parts.count, let id = UInt16(sdpDigits: parts[0]), id > 0 else { throw malformed }
        var direction: MediaDirection?
        if parts.count == 2 {
            guard let parsed = MediaDirection(rawValue: String(parts[1])) else { throw malformed }
            direction = parsed
        }
        // 15 is reserved, 4096 and up stand for extensions still without a number (RFC 8285 §5).
        guard id <= 255, id != 15, let known = HeaderExtension(uri: fields[1]) else { return }
        let mapping = ExtensionMapping(id: UInt8(id), direction: direction, known: known)
        guard !extensions.contains(where: { $0.id == mapping.id && $0.known != known }) else {
            throw SDPError(.duplicateExtensionID(mapping.id), at: place)
        }
        if !extensions.contains(where: { $0.known == known }) { extensions.append(mapping) }
    }

    private mutating func readMSID(_ value: String, _ malformed: SDPError) throws(SDPError) {
        let fields = value.sdpFields()
        guard 1...2 ~= fields.count else { throw malformed }
        // A track in several streams repeats the line; the first stream is enough to name it.
        guard msid == nil else { return }
        msid = MediaStreamIdentifier(stream: String(fields[0]), track: fields.count == 2 ? String(fields[1]) : "")
    }

    private mutating func readSSRC(
        _ value: String,
        _ place: SDPError.Place,
        _ malformed: SDPError
    ) throws(SDPError) {
        let fields = value.sdpFields(maxSplits: 1)
        guard let first = fields.first, let ssrc = UInt32(sdpDigits: first) else { throw malformed }
        if !ssrcs.contains(ssrc) {
            guard ssrcs.count < Limit.streams else {
                throw SDPError(.tooManyValues(.ssrc, limit: Limit.streams), at: place)
            }
            ssrcs.append(ssrc)
        }
        // Peers from before RFC 8830 name the track here only.
        guard msid == nil, fields.count == 2, fields[1].hasPrefix("msid:") else { return }
        try readMSID(String(fields[1].dropFirst(5)), malformed)
    }

    private mutating func readSSRCGroup(
        _ value: String,
        _ place: SDPError.Place,
        _ malformed: SDPError
    ) throws(SDPError) {
        let fields = value.sdpFields()
        guard fields.first == "FID" else { return }
        guard fields.count == 3, let media = UInt32(sdpDigits: fields[1]), let repair = UInt32(sdpDigits: fields[2])
        else { throw malformed }
        guard repairPairs.count < Limit.repairPairs else {
            throw SDPError(.tooManyValues(.ssrcGroup, limit: Limit.repairPairs), at: place)
        }
        repairPairs.append(RepairPair(media: media, repair: repair))
    }

    private mutating func readRestrictionIdentifier(
        _ value: String,
        _ place: SDPError.Place,
        _ malformed: SDPError
    ) throws(SDPError) {
        let fields = value.sdpFields(maxSplits: 2)
        guard fields.count >= 2, SDPCharacters.isRestrictionIdentifier(fields[0]) else { throw malformed }
        let identifier = String(fields[0])
        guard fields[1] == "send", !sentRestrictionIdentifiers.contains(identifier) else { return }
        guard sentRestrictionIdentifiers.count < Limit.restrictionIdentifiers else {
            throw SDPError(.tooManyValues(.rid, limit: Limit.restrictionIdentifiers), at: place)
        }
        sentRestrictionIdentifiers.append(identifier)
    }

    /// Orders the declared rids as `send a;b;c` does (RFC 8853 §5.1). Of alternatives the first counts, and the pause
    /// mark is dropped: a paused layer is one that sends nothing yet.
    private mutating func readSimulcast(_ value: String, _ malformed: SDPError) throws(SDPError) {
        let fields = value.sdpFields()
        guard fields.count == 2 || fields.count == 4 else { throw malformed }
        for position in stride(from: 0, to: fields.count, by: 2) where fields[position] == "send" {
            let streams = fields[position + 1].split(separator: ";")
            guard streams.count <= Limit.restrictionIdentifiers else { throw malformed }
            var ordered: [String] = []
            for stream in streams {
                guard var first = stream.split(separator: ",").first else { throw malformed }
                if first.first == "~" { first = first.dropFirst() }
                guard SDPCharacters.isRestrictionIdentifier(first) else { throw malformed }
                if !ordered.contains(String(first)) { ordered.append(String(first)) }
            }
            simulcastOrder = ordered
        }
    }
}
