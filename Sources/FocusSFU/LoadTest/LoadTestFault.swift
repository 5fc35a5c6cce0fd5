// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Why a load test gives no figures.
package enum LoadTestFault: Error, Equatable, Sendable {
    /// Nobody answers at the address; why, in words.
    case unreachable(String)
    /// The server turned a participant away before the upgrade.
    case refused(status: Int, body: String)
    /// No publisher, or no subscriber, came in; the first one's reason.
    case nobodyJoined(String)
    /// There is no such process, or it ended.
    case serverProcess(Int32)
    /// The machine gives no sockets, memory or cipher.
    case system(String)
}
