// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COpenSSLShims

/// MESSAGE-INTEGRITY with a short-term credential: HMAC-SHA1 over all that precedes it, RFC 8489 §14.5 and §9.1.1.
///
/// The message length in the header counts as if this attribute were the last one.
package enum MessageIntegrity {
    package static let byteCount = 20

    /// True when the attribute at `offset`, ``STUNMessage/integrityOffset``, was made with `key`, the password in
    /// UTF-8.
    package static func isValid(_ datagram: UnsafeRawBufferPointer, at offset: Int, key: [UInt8]) -> Bool {
        guard offset >= STUNMessage.headerByteCount, offset + 4 + byteCount <= datagram.count else { return false }
        return withCode(over: UnsafeRawBufferPointer(rebasing: datagram[..<offset]), key: key) { code in
            guard let code, let theirs = datagram.baseAddress?.advanced(by: offset + 4) else { return false }
            return COpenSSLShims_equal(code, theirs, byteCount) == 1
        }
    }

    /// Runs `use` with the 20 bytes over `message`, nil when the library refuses.
    static func withCode<Result>(
        over message: UnsafeRawBufferPointer, key: [UInt8], use: (UnsafePointer<UInt8>?) -> Result
    ) -> Result {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: message.count + byteCount) { scratch in
            guard let base = scratch.baseAddress else { return use(nil) }
            let code = base + message.count
            UnsafeMutableRawBufferPointer(scratch).copyMemory(from: message)
            let length = message.count + 4 + byteCount - STUNMessage.headerByteCount
            scratch[2] = UInt8(truncatingIfNeeded: length >> 8)
            scratch[3] = UInt8(truncatingIfNeeded: length)
            let done = key.withUnsafeBytes { key in
                COpenSSLShims_hmac_sha1(key.baseAddress, Int32(key.count), base, message.count, code)
            }
            return use(done == 1 ? UnsafePointer(code) : nil)
        }
    }
}
