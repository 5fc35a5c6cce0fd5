// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COpenSSLShims

/// Key bytes that are overwritten when nobody holds them any more. Printing shows their number only.
final class SecretBytes: CustomStringConvertible, CustomReflectable, @unchecked Sendable {
    // Unchecked: the memory is written before `init` returns and only read until `deinit`.
    private let memory: UnsafeMutableRawBufferPointer

    /// `count` bytes as `fill` writes them; nil when it says that it could not.
    init?(count: Int, fill: (UnsafeMutableRawBufferPointer) -> Bool) {
        memory = .allocate(byteCount: count, alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        guard fill(memory) else { return nil }
    }

    /// `count` random bytes.
    init(count: Int, using generator: inout some RandomNumberGenerator) {
        memory = .allocate(byteCount: count, alignment: 16)
        for offset in 0..<count { memory[offset] = UInt8.random(in: .min ... .max, using: &generator) }
    }

    init(copying bytes: [UInt8]) {
        memory = .allocate(byteCount: bytes.count, alignment: 16)
        memory.copyBytes(from: bytes)
    }

    deinit {
        OPENSSL_cleanse(memory.baseAddress, memory.count)
        memory.deallocate()
    }

    var count: Int { memory.count }

    /// The bytes, valid during the call.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        body(UnsafeRawBufferPointer(memory))
    }

    var description: String { "SecretBytes(\(count))" }
    var customMirror: Mirror { Mirror(self, children: ["count": count]) }
}
