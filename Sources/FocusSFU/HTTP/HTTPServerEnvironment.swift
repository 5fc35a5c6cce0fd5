// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What every connection of one server shares.
struct HTTPServerEnvironment: Sendable {
    let configuration: HTTPServerConfiguration
    let router: HTTPRouter
    let refusals: HTTPRefusalCounters
    let connections: HTTPConnections
    let bodyMemory: HTTPBodyMemory
    /// Routes that ``HTTPServer/run()`` is to run.
    let jobs: AsyncStream<HTTPServer.Job>.Continuation
}
