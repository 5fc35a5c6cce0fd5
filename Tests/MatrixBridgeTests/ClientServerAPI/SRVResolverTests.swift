// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Dispatch
import Testing

@testable import MatrixBridge

@Suite("Lookups of service records")
struct SRVResolverTests {
    static let record = SRVRecord(priority: 1, weight: 1, port: 7, target: "host.test")

    @Test("a slow lookup does not hold up the next")
    func parallel() async throws {
        let answered = DispatchSemaphore(value: 0)
        let resolver = SystemSRVResolver { name in
            // The time only keeps a failing test from hanging.
            name == "slow" && answered.wait(timeout: .now() + 20) == .timedOut ? [] : [Self.record]
        }
        async let slow = resolver.records(of: "slow")
        #expect(try await resolver.records(of: "fast") == [Self.record])
        answered.signal()
        #expect(try await slow == [Self.record])
    }

    @Test("more lookups than may wait are refused")
    func bounded() async throws {
        let release = DispatchSemaphore(value: 0)
        let resolver = SystemSRVResolver { _ in
            release.wait()
            return []
        }
        await withTaskGroup(of: HTTPClientError?.self) { group in
            var refusals = 0
            for _ in 0...SystemSRVResolver.maximumUnderWay {
                group.addTask {
                    do throws(HTTPClientError) {
                        _ = try await resolver.records(of: "a.test")
                        return nil
                    } catch {
                        return error
                    }
                }
            }
            // The one too many is the only one that ends while the others are held.
            if await group.next() == HTTPClientError.overloaded { refusals += 1 }
            for _ in 0..<SystemSRVResolver.maximumUnderWay { release.signal() }
            for await outcome in group where outcome != nil { refusals += 1 }
            #expect(refusals == 1)
        }
    }
}
