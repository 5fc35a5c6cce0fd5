// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Sends one HTTP request of ours and returns the answer. ``HTTPClient`` is the real one; tests put a homeserver in
/// memory behind it.
package protocol HTTPTransport: Sendable {
    func send(_ request: HTTPClientRequest) async throws(HTTPClientError) -> HTTPClientResponse
}

/// A request to a homeserver.
package struct HTTPClientRequest: Equatable, Sendable {
    package enum Method: String, Sendable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case delete = "DELETE"
        case options = "OPTIONS"
    }

    /// Which addresses the connection may go to.
    package enum AddressScope: Equatable, Sendable {
        case any
        /// Public addresses only: the host came from a stranger, who must not reach into our network.
        case publicOnly
    }

    /// Where the connection goes instead of the URL's host and port, while the TLS name and `Host` stay those of the
    /// URL (a server found by an SRV record).
    package struct Endpoint: Equatable, Sendable {
        package var host: String
        package var port: UInt16

        package init(host: String, port: UInt16) {
            self.host = host
            self.port = port
        }
    }

    package var method: Method
    /// Absolute `http` or `https` URL. May hold a token in its query, so it is never logged.
    package var url: String
    package var headers: [HTTPClientField] = []
    /// Nil sends no body and no content type.
    package var body: [UInt8]?
    /// Limit for everything from queueing to the last byte.
    package var timeoutMilliseconds = 10_000
    /// A longer answer is refused, not cut.
    package var maximumBodyByteCount = 1 << 20
    package var addresses = AddressScope.any
    /// Redirects followed, each to `https` only.
    package var maximumRedirects = 0
    package var endpoint: Endpoint?

    package init(_ method: Method, _ url: String) {
        self.method = method
        self.url = url
    }
}

/// A header field.
package struct HTTPClientField: Equatable, Sendable {
    package var name: String
    package var value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// An answer, whatever its status.
package struct HTTPClientResponse: Equatable, Sendable {
    package var status: Int
    package var headers: [HTTPClientField]
    package var body: [UInt8]

    package init(status: Int, headers: [HTTPClientField] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The first field of that name; names are compared without case.
    package func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    /// All fields of that name.
    package func headers(_ name: String) -> [String] {
        headers.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }
}

/// Why there is no answer. The texts come from the transfer library and hold no URL.
package enum HTTPClientError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The URL or a header cannot be sent.
    case invalidRequest(String)
    case nameNotResolved
    case connectionFailed(String)
    /// Handshake or certificate.
    case tlsFailed(String)
    case timedOut
    case bodyTooLarge(limit: Int)
    /// Every address of the host is private and the request is for public ones.
    case addressRefused
    case tooManyRedirects
    /// More requests wait than the client allows.
    case overloaded
    case cancelled
    case closed

    package var description: String {
        switch self {
        case .invalidRequest(let detail): "the request cannot be sent: \(detail)"
        case .nameNotResolved: "the host name does not resolve"
        case .connectionFailed(let detail): "the connection failed: \(detail)"
        case .tlsFailed(let detail): "TLS failed: \(detail)"
        case .timedOut: "no complete answer in time"
        case .bodyTooLarge(let limit): "the answer is larger than \(limit) bytes"
        case .addressRefused: "the host has only private addresses"
        case .tooManyRedirects: "too many redirects"
        case .overloaded: "too many requests are under way"
        case .cancelled: "cancelled"
        case .closed: "the client is shut down"
        }
    }
}
