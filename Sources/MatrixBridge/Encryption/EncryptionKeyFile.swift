// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Foundation
package import OlmE2EE

/// The file beside the database with the key that the device's secrets are encrypted with there: a copy of the database
/// alone gives nobody the bot's keys.
package enum EncryptionKeyFile {
    package struct Fault: Error, Equatable, CustomStringConvertible {
        package var description: String
    }

    package static func path(in dataDirectory: String) -> String { dataDirectory + "/encryption.key" }

    /// The key; a new one when there is no file.
    package static func load(_ path: String) throws -> PickleKey {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT { return try make(path) }
        guard descriptor >= 0 else { throw Fault(description: String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: PickleKey.byteCount + 1)
        let count = read(descriptor, &bytes, bytes.count)
        defer { wipe(&bytes) }
        guard count == PickleKey.byteCount, let key = PickleKey(Array(bytes.prefix(count))) else {
            throw Fault(description: "the file does not hold \(PickleKey.byteCount) bytes")
        }
        return key
    }

    /// Readable by nobody else from the first moment, and on the disk before anything is encrypted with it.
    private static func make(_ path: String) throws -> PickleKey {
        var bytes = try PickleKey.randomBytes()
        defer { wipe(&bytes) }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Fault(description: String(cString: strerror(errno))) }
        defer { close(descriptor) }
        guard write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0,
            let key = PickleKey(bytes)
        else {
            unlink(path)
            throw Fault(description: "the file cannot be written")
        }
        return key
    }

    private static func wipe(_ bytes: inout [UInt8]) {
        for index in bytes.indices { bytes[index] = 0 }
    }
}
