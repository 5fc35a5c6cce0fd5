// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COlm
import COpenSSLShims

/// What libolm said against a call, by the name of its error code: `BAD_MESSAGE_MAC`, `UNKNOWN_MESSAGE_INDEX`.
package struct OlmFault: Error, Equatable, Sendable, CustomStringConvertible {
    package let code: String

    package var description: String { "libolm: \(code)" }

    /// The system gave no random bytes.
    static let noRandomness = OlmFault(code: "NO_RANDOMNESS")
    /// libolm's name for a message that is none.
    static let badFormat = OlmFault(code: "BAD_MESSAGE_FORMAT")
}

/// The memory of one libolm object, which libolm itself does not allocate; wiped with the object's own function and
/// given back at the end. Not thread safe, like the objects.
final class OlmMemory {
    private let memory: UnsafeMutableRawPointer
    let object: OpaquePointer
    private let clear: (OpaquePointer) -> Int

    init(
        byteCount: Int, make: (UnsafeMutableRawPointer?) -> OpaquePointer?,
        clear: @escaping (OpaquePointer?) -> Int,
    ) {
        memory = .allocate(byteCount: byteCount, alignment: 16)
        guard let object = make(memory) else { preconditionFailure("libolm constructs in place and cannot fail") }
        self.object = object
        self.clear = { clear($0) }
    }

    deinit {
        _ = clear(object)
        memory.deallocate()
    }
}

/// Buffers for libolm's calls.
enum OlmBuffer {
    /// What every call returns that fails.
    static let error = olm_error()

    /// Runs a call that fills `count` bytes and returns how many it wrote.
    ///
    /// - Throws: What `fault` says when the call fails.
    static func filled(
        _ count: Int, fault: () -> OlmFault, _ call: (UnsafeMutableRawPointer?, Int) -> Int,
    ) throws(OlmFault) -> [UInt8] {
        var written = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            buffer.initialize(repeating: 0)
            written = call(UnsafeMutableRawPointer(buffer.baseAddress), count)
            initialized = count
        }
        guard written != error else { throw fault() }
        return written < count ? Array(bytes.prefix(written)) : bytes
    }

    /// Runs a call that decrypts into `count` bytes, the length of the ciphertext.
    ///
    /// libolm does not look whether AES-CBC can have made the ciphertext: of another length than whole blocks it writes
    /// beyond the buffer, of none it reads before it, with a right MAC that any sender can make. Hence the check; the
    /// block before and after is for whatever else there may be.
    static func decrypted(
        _ count: Int, fault: () -> OlmFault, _ call: (UnsafeMutableRawPointer, Int) -> Int,
    ) throws(OlmFault) -> [UInt8] {
        let block = 16
        guard count > 0, count.isMultiple(of: block) else { throw .badFormat }
        var written = error
        var padded = [UInt8](repeating: 0, count: count + 2 * block)
        padded.withUnsafeMutableBytes { buffer in
            if let base = buffer.baseAddress { written = call(base + block, count) }
        }
        defer { wipe(&padded) }
        guard written != error else { throw fault() }
        guard written <= count else { throw .badFormat }
        return Array(padded[block..<block + written])
    }

    /// Runs a call that consumes `count` random bytes, and wipes them.
    static func random(
        _ count: Int, fault: () -> OlmFault, _ call: (UnsafeMutableRawPointer?, Int) -> Int,
    ) throws(OlmFault) {
        let source = SecretBytes(count: max(count, 1)) { buffer in
            COpenSSLShims_random(buffer.baseAddress, Int32(buffer.count)) == 1
        }
        guard let source else { throw .noRandomness }
        let result = source.withBytes { call(UnsafeMutableRawPointer(mutating: $0.baseAddress), count) }
        guard result != error else { throw fault() }
    }

    static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    static func fault(_ code: UnsafePointer<CChar>?) -> OlmFault {
        OlmFault(code: code.map { String(cString: $0) } ?? "UNKNOWN")
    }

    /// Overwrites what is not needed any more.
    static func wipe(_ bytes: inout [UInt8]) {
        bytes.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
    }
}
