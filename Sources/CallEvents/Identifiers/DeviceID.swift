// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A device of a user: any short text without control characters.
package struct DeviceID: MatrixIdentifier {
    package let rawValue: String

    package init?(_ rawValue: String) {
        guard MatrixText.isWellFormed(rawValue) else { return nil }
        self.rawValue = rawValue
    }
}
