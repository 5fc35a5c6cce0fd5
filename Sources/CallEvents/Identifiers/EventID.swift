// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A Matrix event: `$hash`, or `$opaque:server` in the first two room versions.
package struct EventID: MatrixIdentifier {
    package let rawValue: String

    package init?(_ rawValue: String) {
        guard MatrixText.isWellFormed(rawValue),
            rawValue.utf8.first == UInt8(ascii: "$"),
            rawValue.utf8.count > 1
        else { return nil }
        self.rawValue = rawValue
    }
}
