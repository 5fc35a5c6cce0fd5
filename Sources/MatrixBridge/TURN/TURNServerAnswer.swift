// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import NIOHTTP1
import TURNCreds

/// Answers `GET /_matrix/client/v3/voip/turnServer` (Client-Server API, "Voice over IP") in place of the homeserver,
/// so that a new secret needs no restart of it.
///
/// The homeserver says who the access token belongs to; nothing else of the request is believed.
actor TURNServerAnswer {
    /// Why there is no answer, for the metrics.
    enum Refusal: String, Hashable, Sendable, CaseIterable {
        case missingToken
        /// The homeserver does not know the token.
        case unknownToken
        case tooManyRequests
        case homeserverUnreachable
    }

    /// A longer one is none.
    private static let tokenByteLimit = 4_096

    private let providers: TURNProviders
    private let transport: any HTTPTransport
    private let homeserverURL: String
    private let clock: ServiceClock
    /// By token: a client asks once in ten minutes.
    private var tokenRate = RequestRate(burst: 10, perSecond: 0.2, maximumNames: 16_384)
    /// Of all: what goes on to the homeserver.
    private var rate = RequestRate(burst: 200, perSecond: 100, maximumNames: 1)
    nonisolated let refusals = Tally<Refusal>()

    init(providers: TURNProviders, transport: any HTTPTransport, homeserverURL: String, clock: ServiceClock) {
        self.providers = providers
        self.transport = transport
        self.homeserverURL = homeserverURL
        self.clock = clock
    }

    func answer(_ request: HTTPRequest) async -> HTTPResponse {
        do throws(MatrixError) {
            var response = HTTPResponse.matrix(try await body(for: request))
            response.headers.add(name: "Cache-Control", value: "no-store")
            return response
        } catch {
            return .matrix(error)
        }
    }

    private func body(for request: HTTPRequest) async throws(MatrixError) -> JSONValue {
        // Old clients put the token into the query.
        guard let token = request.bearerToken ?? request.queryValue("access_token"), !token.isEmpty else {
            throw refuse(.missingToken, MatrixError(status: 401, code: .missingToken, message: "no access token"))
        }
        guard token.utf8.count <= Self.tokenByteLimit, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw refuse(.unknownToken, MatrixError(status: 401, code: .unknownToken, message: "unknown access token"))
        }
        let name = SecureHash.sha256(token.utf8).map { String($0, radix: 16) }.joined(separator: ".")
        let now = clock.monotonic()
        if let wait = tokenRate.spend(name, at: now) ?? rate.spend("", at: now) {
            throw refuse(
                .tooManyRequests,
                MatrixError(
                    status: 429, code: .limitExceeded, message: "too many requests", retryAfterMilliseconds: wait))
        }
        let owner = try await owner(of: token)
        let identity = owner.deviceID.map { "\(owner.userID.rawValue):\($0.rawValue)" } ?? owner.userID.rawValue
        return access(forIdentity: identity)
    }

    private func owner(of token: String) async throws(MatrixError) -> MatrixClient.Identity {
        let client = MatrixClient(transport: transport, baseURL: homeserverURL, asToken: token)
        do throws(MatrixClientError) {
            return try await client.whoami()
        } catch .refused(let error) where error.status == 401 || error.status == 403 {
            throw refuse(.unknownToken, error)
        } catch .refused(let error) where error.status == 429 {
            throw refuse(.tooManyRequests, error)
        } catch {
            throw refuse(
                .homeserverUnreachable,
                MatrixError(status: 502, code: .unknown, message: "the homeserver does not say whose token this is"))
        }
    }

    /// The answer has room for one username: the first servers with credentials that expire, else a fixed pair.
    private func access(forIdentity identity: String) -> JSONValue {
        let now = clock.unixMilliseconds() / 1_000
        guard let access = providers.access(forIdentity: identity, now: now).first else { return .object([:]) }
        return .object([
            "username": .string(access.username),
            "password": .string(access.credential),
            "uris": .array(access.urls.map(JSONValue.string)),
            "ttl": .integer(access.expiry.map { $0 - now } ?? TURNCredential.maximumLifetimeSeconds),
        ])
    }

    private func refuse(_ reason: Refusal, _ error: MatrixError) -> MatrixError {
        refusals.count(reason)
        return error
    }
}
