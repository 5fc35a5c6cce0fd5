// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CResolv
import Dispatch

/// Looks up service records.
package protocol SRVResolving: Sendable {
    /// The records of `name`; empty when there are none or the lookup failed.
    func records(of name: String) async -> [SRVRecord]
}

/// The system's resolver. The call blocks, so it runs on a queue of its own; one lookup at a time bounds what a flood
/// of unknown servers can occupy.
package struct SystemSRVResolver: SRVResolving {
    private let queue = DispatchQueue(label: "callbridge.srv")

    package init() {}

    package func records(of name: String) async -> [SRVRecord] {
        await withCheckedContinuation { continuation in
            queue.async {
                continuation.resume(returning: Self.query(name))
            }
        }
    }

    private static let timeoutSeconds: Int32 = 2
    private static let maximumAnswerByteCount = 4_096

    private static func query(_ name: String) -> [SRVRecord] {
        withUnsafeTemporaryAllocation(byteCount: maximumAnswerByteCount, alignment: 8) { answer in
            let length = CResolv_querySRV(
                name, timeoutSeconds, answer.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(answer.count))
            guard length > 0 else { return [] }
            return SRVRecord.parse(UnsafeRawBufferPointer(rebasing: answer[..<Int(length)]))
        }
    }
}
