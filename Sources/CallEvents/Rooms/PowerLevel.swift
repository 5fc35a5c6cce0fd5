// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How much a user may do in a room.
package enum PowerLevel: Hashable, Comparable, Sendable, CustomStringConvertible {
    case value(Int64)
    /// Above every number: the creators of a room of version 12 or later.
    case creator

    package var description: String {
        switch self {
        case .value(let value): "\(value)"
        case .creator: "creator"
        }
    }
}
