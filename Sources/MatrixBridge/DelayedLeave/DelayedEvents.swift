// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// The delayed events of other people's clients (MSC4140): looked at, restarted and sent.
package protocol DelayedEventManaging: Sendable {
    /// Whether the event may be handed over: nil where nobody may look it up.
    func lookUp(_ delayID: String, of user: UserID) async -> DelayedEventDescription?
    /// Whether the client API of the user's server can be found.
    func canReach(_ server: ServerName) async -> Bool
    func perform(_ request: DelayedLeave.Request, _ order: DelayedLeave.Order) async -> DelayedLeave.Answer
}

/// What the homeserver says of a delayed event.
package enum DelayedEventDescription: Equatable, Sendable {
    /// Its owner has no such event.
    case unknown
    case event(room: RoomID?, type: String, delay: UInt64?)
}

/// For users of our homeserver as that user, with the second registration; without it, and for users of other
/// full-access homeservers, by the id alone, which nobody but the owner knows.
package struct DelayedEvents: DelayedEventManaging {
    private let transport: any HTTPTransport
    private let federation: any HTTPTransport
    private let locator: ClientAPILocator
    private let localServer: ServerName
    private let localBaseURL: String
    private let delegate: MatrixClient?

    private static let timeoutMilliseconds = 5_000

    package init(
        transport: any HTTPTransport, federation: any HTTPTransport, locator: ClientAPILocator,
        localServer: ServerName, localBaseURL: String, delegate: MatrixClient?,
    ) {
        self.transport = transport
        self.federation = federation
        self.locator = locator
        self.localServer = localServer
        self.localBaseURL = localBaseURL
        self.delegate = delegate
    }

    package func lookUp(_ delayID: String, of user: UserID) async -> DelayedEventDescription? {
        guard let delegate, user.serverName == localServer else { return nil }
        do throws(MatrixClientError) {
            let event = try await delegate.delayedEvent(delayID, as: .init(userID: user))
            let delay = (event["delay_ms"] ?? event["delay"])?.integer.flatMap { UInt64(exactly: $0) }
            return .event(
                room: event["room_id"]?.string.flatMap(RoomID.init), type: event["type"]?.string ?? "", delay: delay)
        } catch .refused(let error) where error.code == .notFound {
            return .unknown
        } catch {
            // Asked again with the first restart; an event that is not there ends the order then.
            return nil
        }
    }

    package func canReach(_ server: ServerName) async -> Bool {
        if server == localServer { return true }
        return await locator.baseURL(of: server) != nil
    }

    package func perform(_ request: DelayedLeave.Request, _ order: DelayedLeave.Order) async -> DelayedLeave.Answer {
        if let delegate, order.user.serverName == localServer {
            do throws(MatrixClientError) {
                try await delegate.manageDelayedEvent(
                    order.delayID, request.rawValue, as: .init(userID: order.user),
                    timeoutMilliseconds: Self.timeoutMilliseconds)
                return .done
            } catch {
                return Self.answer(error)
            }
        }
        let server = order.user.serverName
        let base = server == localServer ? localBaseURL : await locator.baseURL(of: server)
        guard let base else { return .failed(retryAfter: nil) }
        var httpRequest = HTTPClientRequest(
            .post, URLText.join(base + "/_matrix", MatrixClient.delayedEventsPath + [order.delayID, request.rawValue]))
        httpRequest.headers = [HTTPClientField("Content-Type", "application/json")]
        httpRequest.body = Array("{}".utf8)
        httpRequest.timeoutMilliseconds = Self.timeoutMilliseconds
        httpRequest.addresses = server == localServer ? .any : locator.addresses(of: server)
        do throws(HTTPClientError) {
            let response = try await (server == localServer ? transport : federation).send(httpRequest)
            if (200..<300).contains(response.status) { return .done }
            return Self.answer(.refused(MatrixError(refusal: response)))
        } catch {
            return Self.answer(.noAnswer(error))
        }
    }

    private static func answer(_ error: MatrixClientError) -> DelayedLeave.Answer {
        guard case .refused(let refusal) = error else { return .failed(retryAfter: nil) }
        if refusal.status == 404 { return .gone }
        return error.isTransient ? .failed(retryAfter: refusal.retryAfterMilliseconds) : .refused
    }
}
