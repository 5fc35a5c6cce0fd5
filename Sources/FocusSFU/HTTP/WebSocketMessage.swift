// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One whole WebSocket message, reassembled and, if text, checked to be UTF-8. RFC 6455 §5.6.
package enum WebSocketMessage: Equatable, Sendable {
    case binary([UInt8])
    case text(String)
}

/// The status code of a Close frame. RFC 6455 §7.4.
package struct WebSocketCloseCode: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt16

    package init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    package static let normal = Self(rawValue: 1000)
    package static let goingAway = Self(rawValue: 1001)
    package static let protocolError = Self(rawValue: 1002)
    /// Stands for a Close frame without a code; never sent.
    package static let noStatus = Self(rawValue: 1005)
    package static let invalidText = Self(rawValue: 1007)
    package static let policyViolation = Self(rawValue: 1008)
    package static let messageTooLarge = Self(rawValue: 1009)
    package static let internalError = Self(rawValue: 1011)
    package static let tryAgainLater = Self(rawValue: 1013)

    /// Whether a peer may send it: defined in RFC 6455 §7.4.1, registered since, or in the ranges left to applications.
    var isAllowedOnTheWire: Bool {
        switch rawValue {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}

/// How a WebSocket ended, seen from this side.
package enum WebSocketCloseReason: Equatable, Sendable {
    /// The peer sent a Close frame.
    case peer(code: WebSocketCloseCode, reason: String)
    /// ``WebSocketConnection/close(code:reason:)`` was called here, or the server shut down.
    case local(code: WebSocketCloseCode, reason: String)
    /// The server ended it for this reason.
    case refused(HTTPRefusal)
    /// The socket closed or failed without a Close frame.
    case lost
}

/// What a route answers to an upgrade request.
package enum WebSocketDecision: Sendable {
    /// Upgrade. The closure runs once, on the connection's event loop, before any message; it must not block.
    ///
    /// It also runs when the client has gone in the meantime: the handler then hears ``WebSocketHandler/closed(_:)``
    /// at once, so that what the route had set up is taken down in one place.
    case accept(@Sendable (WebSocketConnection) -> any WebSocketHandler)
    /// Answer like any other request; the connection stays usable.
    case refuse(HTTPResponse)
}

/// The owner's end of one WebSocket.
///
/// Every method is called on the connection's event loop, in order, and must not block. ``closed(_:)`` is called
/// exactly once and is the last call.
package protocol WebSocketHandler: AnyObject, Sendable {
    func received(_ message: WebSocketMessage)
    func closed(_ reason: WebSocketCloseReason)
    /// The server shuts down: last words can be sent now, and the connection closed with a reason of the owner's
    /// choice; after ``HTTPServerConfiguration/webSocketLinger`` the server closes it with 1001.
    func serverShuttingDown()
}

extension WebSocketHandler {
    package func serverShuttingDown() {}
}
