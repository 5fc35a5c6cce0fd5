// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// Asks the homeserver named in an OpenID token whose token it is (Server-Server API, "OpenID").
///
/// Every request takes the same steps: own server by the address we are configured with, which needs neither
/// federation nor public DNS; any other by discovery. The user must be on the server that vouches for it.
package struct OpenIDVerifier: Sendable {
    private let transport: any HTTPTransport
    private let federation: any HTTPTransport
    private let discovery: ServerDiscovery
    private let localServer: ServerName
    /// Without a slash at the end.
    private let localBaseURL: String

    /// - Parameters:
    ///   - transport: To our homeserver.
    ///   - federation: To the servers that strangers name: what these do with a request must not reach the other.
    package init(
        transport: any HTTPTransport, federation: any HTTPTransport, discovery: ServerDiscovery,
        localServer: ServerName, localBaseURL: String,
    ) {
        self.transport = transport
        self.federation = federation
        self.discovery = discovery
        self.localServer = localServer
        self.localBaseURL = localBaseURL.hasSuffix("/") ? String(localBaseURL.dropLast()) : localBaseURL
    }

    /// The user the token belongs to.
    package func verify(_ token: TokenRequest.OpenIDToken) async throws(TokenExchangeRefusal) -> UserID {
        let isLocal = token.server == localServer
        let response: HTTPClientResponse
        do throws(HTTPClientError) {
            response =
                isLocal
                ? try await transport.send(
                    Self.request(token, at: ServerDestination(baseURL: localBaseURL, addresses: .any)))
                : try await federation.send(
                    Self.request(token, at: try await discovery.destination(of: token.server)))
        } catch {
            throw Self.refusal(of: error, isLocal: isLocal)
        }
        switch response.status {
        case 200: break
        case 401, 403: throw .tokenNotValid
        case 500... where isLocal: throw .homeserverDown("HTTP \(response.status)")
        default: throw .lookupFailed("HTTP \(response.status)")
        }
        guard let body = try? JSONValue.parse(response.body), let user = body["sub"]?.string.flatMap(UserID.init) else {
            throw .lookupFailed("the answer names no user")
        }
        guard user.serverName == token.server else { throw .userOfOtherServer }
        return user
    }

    private static func request(
        _ token: TokenRequest.OpenIDToken, at destination: ServerDestination,
    ) -> HTTPClientRequest {
        var request = HTTPClientRequest(
            .get,
            URLText.join(
                destination.baseURL, ["_matrix", "federation", "v1", "openid", "userinfo"],
                query: [("access_token", token.accessToken)]))
        request.maximumBodyByteCount = 64 << 10
        request.endpoint = destination.endpoint
        request.addresses = destination.addresses
        return request
    }

    /// A certificate that does not verify is a wrong server, not a server that is down.
    private static func refusal(of error: HTTPClientError, isLocal: Bool) -> TokenExchangeRefusal {
        switch error {
        case .nameNotResolved where isLocal, .connectionFailed where isLocal, .timedOut where isLocal:
            .homeserverDown(error.description)
        case .overloaded: .rateLimited(retryAfterMilliseconds: 1_000)
        case .closed: .shuttingDown
        default: .lookupFailed(error.description)
        }
    }
}
