// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A Matrix room: `!opaque:server`, or `!opaque` since room version 12.
///
/// Opaque on purpose: there is no server to be read from it.
package struct RoomID: MatrixIdentifier {
    package let rawValue: String

    package init?(_ rawValue: String) {
        guard MatrixText.isWellFormed(rawValue),
            rawValue.utf8.first == UInt8(ascii: "!"),
            rawValue.utf8.count > 1
        else { return nil }
        self.rawValue = rawValue
    }
}
