// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import NIOHTTP1
import TURNCreds

/// Answers `GET /turn/credentials`: TURN for apps of our own, in the shape of `RTCConfiguration.iceServers`.
///
/// The bearer token is an access token like that of a participant, signed with one of our API keys; the credentials are
/// for the identity it names, or for the key when it names none.
struct TURNProvisioning: Sendable {
    private let providers: TURNProviders
    private let verifier: AccessTokenVerifier
    private let clock: ServiceClock
    /// Refused requests.
    let refusals = Tally<String>()

    init(providers: TURNProviders, keys: APIKeySet, clock: ServiceClock) {
        self.providers = providers
        verifier = AccessTokenVerifier(keys: keys)
        self.clock = clock
    }

    func answer(_ request: HTTPRequest) -> HTTPResponse {
        let now = clock.unixMilliseconds() / 1_000
        let claims: TokenClaims
        do throws(TokenRefusal) {
            let token = try AccessTokenVerifier.token(
                authorization: request.headers.first(name: "Authorization"), parameter: nil)
            claims = try verifier.verify(token, now: now)
        } catch {
            refusals.count("token")
            return .text(error.responseBody, status: .unauthorized)
        }
        let identity = claims.identity.isEmpty ? claims.issuer : claims.identity
        let entries = providers.access(forIdentity: identity, now: now)
        let expiry = entries.compactMap(\.expiry).min()
        var members: JSONObject = [
            "iceServers": .array(
                entries.map { access in
                    .object([
                        "urls": .array(access.urls.map(JSONValue.string)), "username": .string(access.username),
                        "credential": .string(access.credential),
                    ])
                })
        ]
        if let expiry { members["ttl"] = .integer(expiry - now) }
        var response = HTTPResponse.json(JSONValue.object(members).compactJSON)
        response.headers.add(name: "Cache-Control", value: "no-store")
        return response
    }
}
