// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Foundation

/// A number in a file beside the database, which grows together with one inside: after the restore of an old database
/// the file is ahead. Ratchets of an old database would encrypt again with keys that were used, and its one-time keys
/// are not those that the homeserver gives out.
package struct GenerationMarker: Sendable {
    let path: String

    package init(dataDirectory: String) {
        path = dataDirectory + "/encryption.generation"
    }

    /// Nil when there is no file.
    func read() throws -> Int64? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let text = try String(contentsOfFile: path, encoding: .utf8)
        return Int64(text.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    func write(_ generation: Int64) throws {
        try Data("\(generation)\n".utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    }
}
