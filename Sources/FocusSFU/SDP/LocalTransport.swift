// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Our side of the transport of one peer connection, as its descriptions state it.
package struct LocalTransport: Equatable, Sendable {
    static let sctpPort: UInt16 = 5000
    /// Bytes of the largest message we take, `a=max-message-size`.
    package static let maxMessageSize = 65535

    package var iceUsernameFragment: String
    package var icePassword: String
    /// Colon-separated upper-case pairs of the certificate's sha-256 digest.
    package var fingerprint: String
    /// Attribute texts beginning with `candidate:`.
    package var candidates: [String]
    package var isICELite: Bool
    /// Stable for a connection.
    package var sessionID: UInt64
    /// Grows with every description.
    package var version: UInt64

    package init(
        iceUsernameFragment: String,
        icePassword: String,
        fingerprint: String,
        candidates: [String],
        isICELite: Bool,
        sessionID: UInt64,
        version: UInt64
    ) {
        self.iceUsernameFragment = iceUsernameFragment
        self.icePassword = icePassword
        self.fingerprint = fingerprint
        self.candidates = candidates
        self.isICELite = isICELite
        self.sessionID = sessionID
        self.version = version
    }

    /// A description of ours without sections.
    func makeDescription(bundledMids: [String]?, allowsMixedExtmap: Bool) -> SessionDescription {
        var description = SessionDescription(
            origin: SessionDescription.Origin(sessionID: sessionID, version: version))
        func append(_ name: SDPAttribute.Name, _ value: String? = nil) {
            description.attributes.append(SDPAttribute(name, value))
        }
        if let bundledMids {
            append(.group, (["BUNDLE"] + bundledMids).joined(separator: " "))
        }
        if allowsMixedExtmap { append(.extmapAllowMixed) }
        append(.msidSemantic, "WMS *")
        append(.fingerprint, "sha-256 \(fingerprint)")
        if isICELite { append(.iceLite) }
        return description
    }

    /// ICE and DTLS attributes, the same in every section; candidates only where the bundle is tagged.
    func write(into media: inout MediaDescription, setup: SetupRole, withCandidates: Bool) {
        media.append(.iceUsernameFragment, iceUsernameFragment)
        media.append(.icePassword, icePassword)
        if withCandidates {
            for candidate in candidates {
                media.attributes.append(SDPAttribute(.candidate, String(candidate.dropFirst("candidate:".count))))
            }
            media.append(.endOfCandidates)
        }
        media.append(.setup, setup.rawValue)
    }
}
