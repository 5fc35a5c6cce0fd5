// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import MatrixBridge

/// Servers that do not answer until they are told to; then with 404.
actor HeldTransport: HTTPTransport {
    private(set) var requests: [HTTPClientRequest] = []
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private var watchers: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []

    var count: Int { requests.count }

    func send(_ request: HTTPClientRequest) async throws(HTTPClientError) -> HTTPClientResponse {
        requests.append(request)
        await withCheckedContinuation { continuation in
            waiting.append(continuation)
            let reached = watchers.filter { $0.count <= requests.count }
            watchers.removeAll { $0.count <= requests.count }
            for watcher in reached { watcher.continuation.resume() }
        }
        return HTTPClientResponse(status: 404)
    }

    /// Returns when so many requests have come.
    func wait(for count: Int) async {
        guard requests.count < count else { return }
        await withCheckedContinuation { watchers.append((count, $0)) }
    }

    /// Answers those that wait.
    func release() {
        for continuation in waiting { continuation.resume() }
        waiting = []
    }
}
