// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Logging

/// What every worker shares: immutable, or safe to share.
struct FocusEnvironment: Sendable {
    let configuration: FocusConfiguration
    let dtlsContext: DTLSContext
    let iceServers: any ICEServerProviding
    let signalRefusals: SignalRefusals
    let log: Logger
}
