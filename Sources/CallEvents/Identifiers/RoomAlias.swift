// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A name of a Matrix room: `#name:server` (Matrix specification, "Room Aliases"). The server's directory says which
/// room it means now.
package struct RoomAlias: MatrixIdentifier {
    package let rawValue: String

    package init?(_ rawValue: String) {
        guard MatrixText.isWellFormed(rawValue), rawValue.utf8.first == UInt8(ascii: "#"),
            let colon = rawValue.utf8.firstIndex(of: UInt8(ascii: ":")),
            let server = String(rawValue.utf8[rawValue.utf8.index(after: colon)...]), ServerName(server) != nil
        else { return nil }
        self.rawValue = rawValue
    }
}
