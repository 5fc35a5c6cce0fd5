// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
package import FocusSFU

/// What the homeserver calls (Application Service API): transactions, ping and queries. Each first proves itself with
/// the `hs_token`.
package struct AppServiceRoutes: Sendable {
    private let token: HomeserverToken
    private let inbox: TransactionInbox
    /// The bot and the ghosts we made; other names of the namespace do not exist.
    private let ownUsers: Set<String>

    package init(token: HomeserverToken, inbox: TransactionInbox, ownUsers: Set<String>) {
        self.token = token
        self.inbox = inbox
        self.ownUsers = ownUsers
    }

    /// `PUT /_matrix/app/v1/transactions/{txnId}`.
    package func transaction(_ request: HTTPRequest, id: String) async -> HTTPResponse {
        await authorized(request) {
            do {
                try await inbox.accept(id: id, body: request.body)
                return .matrix(.object([:]))
            } catch {
                return .matrix(
                    MatrixError(status: 500, code: .unknown, message: "the transaction could not be stored: \(error)"))
            }
        }
    }

    /// A transaction that is too long to be read. A refusal would be repeated for ever, with nothing behind it.
    package func oversizedTransaction(_ request: HTTPRequest, id: String) async -> HTTPResponse {
        await authorized(request) {
            await inbox.passOver(.tooLarge, id: id)
            return .matrix(.object([:]))
        }
    }

    /// `POST /_matrix/app/v1/ping`.
    package func ping(_ request: HTTPRequest) async -> HTTPResponse {
        await authorized(request) { .matrix(.object([:])) }
    }

    /// `GET /_matrix/app/v1/users/{userId}`.
    package func user(_ request: HTTPRequest, id: String) async -> HTTPResponse {
        await authorized(request) {
            ownUsers.contains(id) ? .matrix(.object([:])) : .matrix(Self.notFound("no such user"))
        }
    }

    /// `GET /_matrix/app/v1/rooms/{roomAlias}` and `/_matrix/app/v1/thirdparty/…`: we own no aliases and bridge no
    /// third-party network.
    package func nothing(_ request: HTTPRequest) async -> HTTPResponse {
        await authorized(request) { .matrix(Self.notFound("nothing of that name")) }
    }

    private static func notFound(_ message: String) -> MatrixError {
        MatrixError(status: 404, code: .notFound, message: message)
    }

    private func authorized(
        _ request: HTTPRequest, _ answer: () async -> HTTPResponse,
    ) async -> HTTPResponse {
        if let refusal = refusal(of: request) { return refusal }
        return await answer()
    }

    /// The answer to somebody who is not our homeserver; nil for the homeserver.
    package func refusal(of request: HTTPRequest) -> HTTPResponse? {
        do throws(MatrixError) {
            try token.check(request.bearerToken)
            return nil
        } catch {
            inbox.refusals.count(error.status == 401 ? .missingToken : .wrongToken)
            return .matrix(error)
        }
    }
}
