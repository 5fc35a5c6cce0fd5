// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
package import FocusSFU
import NIOHTTP1

/// The endpoints below `rtc/livekit` that homeservers pass on to us (MSC4195, MSC4512): a client's through its own
/// homeserver, and another homeserver's for its users.
///
/// Who asks stands in a header that only our homeserver can have written, since the request carries our `hs_token`.
package struct ProxiedTokenRoutes: Sendable {
    private let exchange: TokenExchange
    private let token: String
    private let localServer: ServerName
    private let focusURL: String
    /// Acts for the second registration, which the endpoints belong to.
    private let delegate: MatrixClient

    /// The path of the federated endpoint, which other homeservers pass on to their own services.
    static let federationPath = "/_matrix/federation/unstable/io.element.msc4195/rtc/livekit/get_token"

    package init(
        exchange: TokenExchange, token: String, localServer: ServerName, focusURL: String, delegate: MatrixClient,
    ) {
        self.exchange = exchange
        self.token = token
        self.localServer = localServer
        self.focusURL = focusURL
        self.delegate = delegate
    }

    func register(on router: inout HTTPRouter, below prefix: String) {
        let limit = TokenRequest.maximumBodyByteCount
        for version in ["unstable/io.element.msc4195", "v1"] {
            let client = "\(prefix)/_matrix/client/\(version)/rtc/livekit"
            let federation = "\(prefix)/_matrix/federation/\(version)/rtc/livekit"
            router.on(.POST, client + "/get_token", bodyLimit: limit) { request, _ in await clientToken(request) }
            router.on(.POST, client + "/delegate_delayed_leave", bodyLimit: limit) { request, _ in
                await delegation(request)
            }
            router.on(.POST, federation + "/get_token", bodyLimit: limit) { request, _ in
                await federatedToken(request)
            }
            for path in [client + "/get_token", client + "/delegate_delayed_leave", federation + "/get_token"] {
                router.onAny(path) { _, _ in .empty(.methodNotAllowed) }
            }
        }
    }

    // MARK: Endpoints

    /// A user of our homeserver wants a token for our focus, or through us for that of another server.
    package func clientToken(_ request: HTTPRequest) async -> HTTPResponse {
        await answer(request) { body async throws(MatrixError) in
            let user = try user(of: request)
            let wanted = try read(body)
            guard let server = wanted.server, server != localServer else {
                return .object(["jwt": .string(try await token(wanted, for: user))])
            }
            return try await token(wanted, for: user, from: server)
        }
    }

    /// Another homeserver wants a token for one of its users.
    package func federatedToken(_ request: HTTPRequest) async -> HTTPResponse {
        await answer(request) { body async throws(MatrixError) in
            guard let origin = request.headers.first(name: "X-Matrix-Origin").flatMap(ServerName.init) else {
                throw Self.unauthorized("the request does not say which homeserver asks")
            }
            let wanted = try read(body)
            guard let user = wanted.user else { throw TokenExchangeRefusal.missingField("user_id").answer }
            guard user.serverName == origin else {
                throw MatrixError(status: 403, code: .forbidden, message: "\(user) is no user of \(origin)")
            }
            return .object(["jwt": .string(try await token(wanted, for: user))])
        }
    }

    package func delegation(_ request: HTTPRequest) async -> HTTPResponse {
        await answer(request) { body async throws(MatrixError) in
            let user = try user(of: request)
            let wanted = try read(body)
            guard let delayID = wanted.delayID else { throw TokenExchangeRefusal.missingField("delay_id").answer }
            try checkFocus(wanted)
            do throws(TokenExchangeRefusal) {
                try await exchange.delegate(
                    wanted.exchanged(delegation: .init(delayID: delayID, delay: nil)), by: user)
            } catch {
                throw Self.error(error)
            }
            return .object([:])
        }
    }

    // MARK: Steps

    private func answer(
        _ request: HTTPRequest, _ body: ([UInt8]) async throws(MatrixError) -> JSONValue,
    ) async -> HTTPResponse {
        do throws(MatrixError) {
            guard let presented = request.bearerToken, !presented.isEmpty else {
                throw MatrixError(status: 401, code: .missingToken, message: "the request carries no hs_token")
            }
            guard SecureHash.areEqual(presented, token) else {
                throw MatrixError(
                    status: 401, code: .unknownToken,
                    message: "the token is not the hs_token of the second registration; the homeserver loaded another")
            }
            return .matrix(try await body(request.body))
        } catch {
            return .matrix(error)
        }
    }

    private func user(of request: HTTPRequest) throws(MatrixError) -> UserID {
        guard let user = request.headers.first(name: "X-Matrix-User-Identifier").flatMap(UserID.init),
            user.serverName == localServer
        else { throw Self.unauthorized("the request does not say which user of ours asks") }
        return user
    }

    private func read(_ body: [UInt8]) throws(MatrixError) -> ProxiedTokenRequest {
        do throws(TokenExchangeRefusal) {
            guard body.count <= TokenRequest.maximumBodyByteCount else { throw .bodyTooLarge }
            return try ProxiedTokenRequest(body)
        } catch {
            throw error.answer
        }
    }

    private func checkFocus(_ wanted: ProxiedTokenRequest) throws(MatrixError) {
        let url = wanted.url.hasSuffix("/") ? String(wanted.url.dropLast()) : wanted.url
        guard url == focusURL else {
            throw MatrixError(
                status: 400, code: .invalidParameter, message: "url is not that of this server's focus, \(focusURL)")
        }
    }

    private func token(_ wanted: ProxiedTokenRequest, for user: UserID) async throws(MatrixError) -> String {
        try checkFocus(wanted)
        do throws(TokenExchangeRefusal) {
            return try await exchange.token(for: user, wanted.exchanged())
        } catch {
            throw Self.error(error)
        }
    }

    /// Asks the service of another homeserver, if that is in the room.
    private func token(
        _ wanted: ProxiedTokenRequest, for user: UserID, from server: ServerName,
    ) async throws(MatrixError) -> JSONValue {
        let answer: (status: Int, content: JSONValue)
        do throws(MatrixClientError) {
            guard try await delegate.isJoined(user, in: wanted.room),
                try await delegate.isJoined(server, in: wanted.room)
            else {
                throw MatrixClientError.refused(
                    MatrixError(status: 403, code: .forbidden, message: "not both of user and server are in the room"))
            }
            answer = try await delegate.federationRequest(
                to: server, path: Self.federationPath, body: wanted.body(for: user))
        } catch .refused(let refusal) where refusal.code == .forbidden {
            throw refusal
        } catch {
            throw MatrixError(status: 502, code: .unknown, message: "\(server) could not be asked: \(error)")
        }
        switch answer.status {
        case 200 where answer.content["jwt"]?.string != nil: return answer.content
        case 403:
            let reason = answer.content["error"]?.string.map { ": \($0.prefix(500))" } ?? ""
            throw MatrixError(status: 403, code: .forbidden, message: "\(server) refuses the user\(reason)")
        default:
            throw MatrixError(
                status: 502, code: .unknown, message: "\(server) gave no token (HTTP \(answer.status))")
        }
    }

    private static func unauthorized(_ message: String) -> MatrixError {
        MatrixError(status: 401, code: .unauthorized, message: message)
    }

    /// The codes of these endpoints where they differ from the older ones.
    private static func error(_ refusal: TokenExchangeRefusal) -> MatrixError {
        var error = refusal.answer
        switch refusal {
        case .delayedEventUnknown: error.code = .invalidParameter
        case .delegationNotAllowed: (error.status, error.code) = (403, .forbidden)
        default: break
        }
        return error
    }
}
