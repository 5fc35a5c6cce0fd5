// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOConcurrencyHelpers

/// Lets only so many requests to one host be under way, and none for long. One more is refused as overload, so that a
/// host that answers slowly, or never, holds up those who named it and nobody else.
package struct HTTPTransportLimit: HTTPTransport {
    private let transport: any HTTPTransport
    private let requestsPerHost: Int
    private let timeoutMilliseconds: Int
    private let underWay = NIOLockedValueBox<[String: Int]>([:])

    /// - Parameter timeoutMilliseconds: In place of a longer one of the request.
    package init(_ transport: any HTTPTransport, requestsPerHost: Int, timeoutMilliseconds: Int) {
        self.transport = transport
        self.requestsPerHost = requestsPerHost
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    package func send(_ request: HTTPClientRequest) async throws(HTTPClientError) -> HTTPClientResponse {
        let host = Self.host(of: request)
        guard begin(host) else { throw .overloaded }
        defer { end(host) }
        var request = request
        request.timeoutMilliseconds = min(request.timeoutMilliseconds, timeoutMilliseconds)
        return try await transport.send(request)
    }

    private func begin(_ host: String) -> Bool {
        underWay.withLockedValue { underWay in
            guard underWay[host, default: 0] < requestsPerHost else { return false }
            underWay[host, default: 0] += 1
            return true
        }
    }

    private func end(_ host: String) {
        underWay.withLockedValue { underWay in
            let count = underWay[host, default: 1] - 1
            underWay[host] = count > 0 ? count : nil
        }
    }

    /// Where the connection goes; ports of one host count together.
    private static func host(of request: HTTPClientRequest) -> String {
        if let endpoint = request.endpoint { return endpoint.host.lowercased() }
        guard let scheme = request.url.firstRange(of: "://") else { return "" }
        let authority = request.url[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" }
        let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } : authority.prefix { $0 != ":" }
        return host.lowercased()
    }
}
