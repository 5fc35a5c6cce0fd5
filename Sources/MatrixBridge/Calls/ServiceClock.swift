// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Foundation
package import FocusSFU

/// The clocks of the services: handed in, so that tests make time.
package struct ServiceClock: Sendable {
    /// For lengths of time.
    package var monotonic: @Sendable () -> MonotonicTime
    /// For what others read: token claims and event times. Milliseconds since 1970-01-01 UTC.
    package var unixMilliseconds: @Sendable () -> Int64
    /// Waits that many milliseconds; throws when the task is cancelled.
    package var sleep: @Sendable (UInt64) async throws -> Void

    package init(
        monotonic: @escaping @Sendable () -> MonotonicTime, unixMilliseconds: @escaping @Sendable () -> Int64,
        sleep: @escaping @Sendable (UInt64) async throws -> Void,
    ) {
        self.monotonic = monotonic
        self.unixMilliseconds = unixMilliseconds
        self.sleep = sleep
    }

    /// The clocks of the machine.
    package static let system = ServiceClock(
        monotonic: { MonotonicTime(nanoseconds: DispatchTime.now().uptimeNanoseconds) },
        unixMilliseconds: { Int64(Date().timeIntervalSince1970 * 1_000) },
        sleep: { try await Task.sleep(nanoseconds: $0.multipliedReportingOverflow(by: 1_000_000).partialValue) },
    )
}
