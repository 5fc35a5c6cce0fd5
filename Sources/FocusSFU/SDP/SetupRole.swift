// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// `a=setup` (RFC 4145 §4): who opens the DTLS association.
package enum SetupRole: String, Sendable {
    case active
    case passive
    case actpass
    case holdconn
}
