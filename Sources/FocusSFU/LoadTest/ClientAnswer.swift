// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The answers of a load test's participant to a server that makes the offers: every stream of Opus and VP8 is wanted.
struct ClientAnswer {
    private let endpoint: LoadEndpoint
    private let sessionID = Random.uint64() >> 2
    private var version: UInt64 = 0

    init(_ endpoint: LoadEndpoint) {
        self.endpoint = endpoint
    }

    /// The answer, as SDP, with the offer's sections in the offer's order and its payload types.
    mutating func answer(to offer: RemoteDescription) -> String {
        version += 1
        let transport = LocalTransport(
            iceUsernameFragment: endpoint.credentials.usernameFragment, icePassword: endpoint.credentials.password,
            fingerprint: endpoint.fingerprint.hexadecimal, candidates: [], isICELite: false, sessionID: sessionID,
            version: version)
        let accepted = offer.sections.map(Self.accepted)
        var description = transport.makeDescription(
            bundledMids: zip(offer.sections, accepted).compactMap { $1 == nil ? nil : $0.mid },
            allowsMixedExtmap: false)
        for (section, accepted) in zip(offer.sections, accepted) {
            guard var media = accepted else {
                var rejected = MediaDescription(
                    kind: section.kind, port: 0, transportProtocol: section.description.transportProtocol,
                    formats: section.description.formats, connection: "IN IP4 0.0.0.0")
                rejected.append(.mid, section.mid)
                description.media.append(rejected)
                continue
            }
            transport.write(
                into: &media, setup: offer.transport.setup == .active ? .passive : .active, withCandidates: false)
            media.append(.mid, section.mid)
            description.media.append(media)
        }
        return SDPWriter.text(of: description)
    }

    private static func accepted(_ section: RemoteSection) -> MediaDescription? {
        guard section.obstacle == nil,
            let codec = section.codecs.first(where: { $0.name == .opus || $0.name == .vp8 })
        else { return nil }
        var media = MediaDescription(
            kind: section.kind, port: 9, transportProtocol: section.description.transportProtocol, formats: [],
            connection: "IN IP4 0.0.0.0")
        media.append(.rtcpMux)
        codec.write(into: &media)
        media.append(SDPAttribute.Name(section.direction.reversed))
        return media
    }
}
