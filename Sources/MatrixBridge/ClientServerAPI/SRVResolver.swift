// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CResolv
import Foundation
import NIOConcurrencyHelpers

/// Looks up service records.
package protocol SRVResolving: Sendable {
    /// The records of `name`; empty when there are none or the lookup failed.
    ///
    /// - Throws: ``HTTPClientError/overloaded`` when too many lookups are under way.
    func records(of name: String) async throws(HTTPClientError) -> [SRVRecord]
}

/// The system's resolver. The call blocks, so it runs on threads of its own: a few, so that a slow name server delays
/// the lookups of others little, and few enough that a flood of unknown servers occupies no more.
package struct SystemSRVResolver: SRVResolving {
    /// Lookups that block a thread, and those that wait for one beside them.
    static let maximumAtOnce = 8
    static let maximumUnderWay = 64

    private let query: @Sendable (String) -> [SRVRecord]
    private let threads = OperationQueue()
    private let underWay = NIOLockedValueBox(0)

    package init() {
        self.init(query: Self.systemQuery)
    }

    /// - Parameter query: Blocks until it has an answer.
    init(query: @escaping @Sendable (String) -> [SRVRecord]) {
        self.query = query
        threads.maxConcurrentOperationCount = Self.maximumAtOnce
    }

    package func records(of name: String) async throws(HTTPClientError) -> [SRVRecord] {
        let isAdmitted = underWay.withLockedValue { count in
            guard count < Self.maximumUnderWay else { return false }
            count += 1
            return true
        }
        guard isAdmitted else { throw .overloaded }
        return await withCheckedContinuation { continuation in
            threads.addOperation { [query, underWay] in
                let records = query(name)
                underWay.withLockedValue { $0 -= 1 }
                continuation.resume(returning: records)
            }
        }
    }

    private static let timeoutSeconds: Int32 = 2
    private static let maximumAnswerByteCount = 4_096

    @Sendable private static func systemQuery(_ name: String) -> [SRVRecord] {
        withUnsafeTemporaryAllocation(byteCount: maximumAnswerByteCount, alignment: 8) { answer in
            let length = CResolv_querySRV(
                name, timeoutSeconds, answer.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(answer.count))
            guard length > 0 else { return [] }
            return SRVRecord.parse(UnsafeRawBufferPointer(rebasing: answer[..<Int(length)]))
        }
    }
}
