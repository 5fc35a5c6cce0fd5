// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Who opens the DTLS handshake. `a=setup:active` is the client (RFC 5763 §5).
package enum DTLSRole: Sendable {
    case client
    case server

    package var other: DTLSRole {
        switch self {
        case .client: .server
        case .server: .client
        }
    }
}
