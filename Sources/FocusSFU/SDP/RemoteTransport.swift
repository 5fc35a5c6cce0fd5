// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The peer's side of the one transport all bundled sections share: ICE (RFC 8839), DTLS (RFC 8842), SCTP (RFC 8841).
package struct RemoteTransport: Equatable, Sendable {
    /// Another fragment and password than before mean an ICE restart (RFC 8839 §4.4.1.1.1).
    package let usernameFragment: String
    package let password: String
    package let fingerprint: CertificateFingerprint
    /// `actpass` when the peer gave none.
    package let setup: SetupRole
    /// Attribute texts beginning with `candidate:`.
    package let candidates: [String]
    package let hasEndOfCandidates: Bool
    package let isICELite: Bool
    package let iceOptions: [String]
    /// Nil without a data section.
    package let sctpPort: UInt16?
    /// Largest message the peer takes, in bytes; zero is without limit, nil is unstated, which means 65536.
    package let maxMessageSize: UInt64?

    init(
        tagged: SectionAttributes,
        at index: Int,
        data: SectionAttributes?,
        isICELite: Bool
    ) throws(SDPError) {
        guard let usernameFragment = tagged.iceUsernameFragment else {
            throw SDPError(.missingAttribute(.iceUsernameFragment), at: .section(index))
        }
        guard let password = tagged.icePassword else {
            throw SDPError(.missingAttribute(.icePassword), at: .section(index))
        }
        guard let fingerprint = tagged.fingerprint else {
            throw SDPError(.missingAttribute(.fingerprint), at: .section(index))
        }
        self.usernameFragment = usernameFragment
        self.password = password
        self.fingerprint = fingerprint
        self.isICELite = isICELite
        setup = tagged.setup ?? .actpass
        candidates = tagged.candidates
        hasEndOfCandidates = tagged.hasEndOfCandidates
        iceOptions = tagged.iceOptions
        sctpPort = data.map { $0.sctpPort ?? LocalTransport.sctpPort }
        maxMessageSize = data?.maxMessageSize
    }
}
