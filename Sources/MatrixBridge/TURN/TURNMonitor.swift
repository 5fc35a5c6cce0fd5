// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Logging
import NIOConcurrencyHelpers
import TURNCreds

/// Tests every TURN server once a minute, for the metrics and for the log.
final class TURNMonitor: Sendable {
    private static let intervalMilliseconds: UInt64 = 60_000

    private let administration: TURNAdministration
    private let clock: ServiceClock
    private let log: Logger
    private let results = NIOLockedValueBox<[TURNProbeResult]>([])

    init(administration: TURNAdministration, clock: ServiceClock, logger: Logger) {
        self.administration = administration
        self.clock = clock
        self.log = logger
    }

    /// Of the last round; empty before the first has ended.
    var latest: [TURNProbeResult] { results.withLockedValue { $0 } }

    /// Until the task is cancelled.
    func run() async {
        // The first secret is on its way into the store.
        do { try await clock.sleep(2_000) } catch { return }
        while !Task.isCancelled {
            let now = await administration.test()
            let before = results.withLockedValue { exchange(&$0, with: now) }
            for result in now { note(result, before: before.first { $0.uri == result.uri }) }
            do { try await clock.sleep(Self.intervalMilliseconds) } catch { return }
        }
    }

    /// Says what changed.
    private func note(_ result: TURNProbeResult, before: TURNProbeResult?) {
        switch (result.outcome, before?.outcome) {
        case (.failure(let fault), .some(.success)), (.failure(let fault), nil):
            log.warning("a TURN server does not relay", metadata: ["uri": "\(result.uri)", "cause": "\(fault.cause)"])
        case (.success(let success), .some(.failure)), (.success(let success), nil):
            log.info(
                "a TURN server relays",
                metadata: ["uri": "\(result.uri)", "relayed": "\(success.relayed)", "ms": "\(success.milliseconds)"])
        case (.failure, .some(.failure)), (.success, .some(.success)):
            break
        }
    }
}
