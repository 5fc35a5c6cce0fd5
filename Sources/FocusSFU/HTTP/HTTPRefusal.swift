// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Synchronization

/// Why the HTTP server turned something away. Each refusal is counted once, by its cause.
///
/// Answers that a route's own handler makes (401, 404 of a room, …) are not refusals of the server and not counted
/// here.
package enum HTTPRefusal: Int, CaseIterable, Sendable {
    /// Above the limit of open connections; answered 503 and closed.
    case tooManyConnections
    /// Request line, field or framing is not HTTP/1.x; answered 400 and closed.
    case malformedRequest
    /// The request line and fields together exceed the limit; answered 431 and closed.
    case headTooLarge
    /// The body exceeds the route's limit; answered 413 and closed.
    case bodyTooLarge
    /// The bodies of all connections together exceed their limit; answered 503 and closed.
    case bodyMemory
    /// A long body from somebody whom the route does not let send one; answered as the route decides, and closed.
    case bodyNotAdmitted
    /// The request head did not arrive in time; answered 408 if it had begun, and closed.
    case headTimeout
    /// The body did not arrive in time; answered 408 and closed.
    case bodyTimeout
    /// More requests sent ahead of their answers than the limit; the first beyond it is answered 429 and closed.
    case tooManyPipelined
    /// No route for the path; answered 404.
    case unknownPath
    /// A route for the path, but not for the method; answered 405.
    case unknownMethod
    /// An upgrade request that RFC 6455 §4.2.1 does not allow; answered 400.
    case malformedUpgrade
    /// `Sec-WebSocket-Version` is not 13; answered 426.
    case webSocketVersion
    /// The owner of the WebSocket route refused; answered as it decided.
    case upgradeRefused
    /// The server is shutting down; answered 503 and closed.
    case shuttingDown
    /// A frame that RFC 6455 §5 does not allow; closed with 1002.
    case webSocketProtocolError
    /// A text message or close reason that is not UTF-8; closed with 1007.
    case webSocketInvalidText
    /// A message over the limit; closed with 1009.
    case webSocketMessageTooLarge
    /// The peer reads too slowly: a response, a ping or the bounded outbox could not be written; closed at once.
    case slowReader
    /// A close handshake that the peer did not finish in time.
    case webSocketCloseTimeout
}

/// Counts refusals by cause; written by the event loops, readable from any thread.
package final class HTTPRefusalCounters: Sendable {
    private let counts: [Counter]

    package init() {
        self.counts = HTTPRefusal.allCases.map { _ in Counter() }
    }

    /// Times `refusal` happened since the start.
    package subscript(refusal: HTTPRefusal) -> UInt64 {
        counts[refusal.rawValue].value.load(ordering: .relaxed)
    }

    func count(_ refusal: HTTPRefusal) {
        counts[refusal.rawValue].value.wrappingAdd(1, ordering: .relaxed)
    }

    private final class Counter: Sendable {
        let value = Atomic<UInt64>(0)
    }
}
