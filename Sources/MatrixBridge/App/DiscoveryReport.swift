// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Logging

/// Says once in the log what keeps clients from finding this focus; silent when all is well.
struct DiscoveryReport: Sendable {
    let check: DiscoveryCheck
    let logger: Logger
    /// Woken when the homeserver can be asked.
    let wakeUps = WakeUps()

    func run() async {
        for await _ in wakeUps.stream {
            for finding in await check.run() where finding.severity != .ok {
                logger.warning(
                    "Clients may not find this focus",
                    metadata: ["finding": "\(finding.text)", "remedy": "\(finding.remedy)"])
            }
        }
    }
}
