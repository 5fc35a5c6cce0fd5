// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc

/// Small text files of an operator: configuration, keys, registration.
package enum ConfigurationFile {
    package enum Fault: Error, Equatable, Sendable {
        case missing
        case notReadable(code: Int32)
        case notFile
        case tooLong(byteLimit: Int)
        case notUTF8(TextPlace)
        case exists
        case notWritable(code: Int32)

        package var problem: String {
            switch self {
            case .missing: "there is no such file"
            case .notReadable(let code): "the file cannot be read (\(Self.reason(code)))"
            case .notFile: "this is not a file"
            case .tooLong(let limit): "the file is longer than \(limit / 1024) KiB"
            case .notUTF8: "the text is not UTF-8"
            case .exists: "the file is already there"
            case .notWritable(let code): "the file cannot be written (\(Self.reason(code)))"
            }
        }

        private static func reason(_ code: Int32) -> String {
            String(cString: strerror(code)).lowercased()
        }
    }

    /// The text and the permission bits of a file.
    package static func read(_ path: String, byteLimit: Int = YAMLText.byteLimit) throws(Fault) -> (
        text: String, mode: UInt32
    ) {
        // Non-blocking, so that a pipe without a writer is refused below instead of waited for.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw errno == ENOENT || errno == ENOTDIR ? .missing : .notReadable(code: errno)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .notReadable(code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .notFile }
        let bytes = try readAll(descriptor, byteLimit: byteLimit)
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .notUTF8(placeOfFault(in: bytes)) }
        return (text, status.st_mode & 0o7777)
    }

    private static func readAll(_ descriptor: Int32, byteLimit: Int) throws(Fault) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .notReadable(code: errno) }
            guard count > 0 else { return bytes }
            bytes += chunk.prefix(count)
            guard bytes.count <= byteLimit else { throw .tooLong(byteLimit: byteLimit) }
        }
    }

    private static func placeOfFault(in bytes: [UInt8]) -> TextPlace {
        for (index, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated()
        where String(validating: line, as: UTF8.self) == nil {
            return TextPlace(line: index + 1, column: 1)
        }
        return .start
    }

    /// Writes a file for its owner only (mode 0600), whole or not at all.
    ///
    /// - Throws: ``Fault/exists`` when the file is there and `replacing` is false.
    package static func writePrivate(_ text: String, to path: String, replacing: Bool) throws(Fault) {
        let target = replacing ? path + ".new" : path
        if replacing { unlink(target) }
        let descriptor = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw errno == EEXIST ? .exists : .notWritable(code: errno) }
        do {
            defer { close(descriptor) }
            try writeAll(Array(text.utf8), to: descriptor)
            guard fsync(descriptor) == 0 else { throw Fault.notWritable(code: errno) }
        } catch {
            unlink(target)
            throw error as? Fault ?? .notWritable(code: EIO)
        }
        guard !replacing || rename(target, path) == 0 else {
            let code = errno
            unlink(target)
            throw .notWritable(code: code)
        }
    }

    private static func writeAll(_ bytes: [UInt8], to descriptor: Int32) throws(Fault) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .notWritable(code: errno) }
            rest = rest.dropFirst(count)
        }
    }
}
