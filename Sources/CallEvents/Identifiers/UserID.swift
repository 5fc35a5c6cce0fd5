// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A Matrix user: `@localpart:server`.
///
/// The local part may be anything without colon (Matrix specification, "Historical user IDs").
package struct UserID: MatrixIdentifier {
    package let rawValue: String
    /// Between sigil and colon; may be empty.
    package let localpart: String
    /// The server that vouches for the user.
    package let serverName: ServerName

    package init?(_ rawValue: String) {
        guard MatrixText.isWellFormed(rawValue),
            rawValue.utf8.first == UInt8(ascii: "@"),
            let colon = rawValue.utf8.firstIndex(of: UInt8(ascii: ":")),
            let localpart = String(rawValue.utf8[rawValue.utf8.index(after: rawValue.utf8.startIndex)..<colon]),
            let server = String(rawValue.utf8[rawValue.utf8.index(after: colon)...]),
            let serverName = ServerName(server)
        else { return nil }
        self.rawValue = rawValue
        self.localpart = localpart
        self.serverName = serverName
    }
}
