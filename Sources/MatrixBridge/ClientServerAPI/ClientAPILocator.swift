// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
package import FocusSFU

/// Finds the client API of other servers: `/.well-known/matrix/client`, `m.homeserver.base_url`.
package actor ClientAPILocator {
    private static let lifetimeMilliseconds: UInt64 = 4 * 3_600_000
    private static let failureMilliseconds: UInt64 = 60_000
    private static let maximumServers = 256

    private let transport: any HTTPTransport
    private let serversOnPrivateAddresses: Set<ServerName>
    private let now: @Sendable () -> MonotonicTime
    private var known: [ServerName: (url: String?, expiry: MonotonicTime)] = [:]

    package init(
        transport: any HTTPTransport, serversOnPrivateAddresses: Set<ServerName>,
        now: @escaping @Sendable () -> MonotonicTime,
    ) {
        self.transport = transport
        self.serversOnPrivateAddresses = serversOnPrivateAddresses
        self.now = now
    }

    package nonisolated func addresses(of server: ServerName) -> HTTPClientRequest.AddressScope {
        serversOnPrivateAddresses.contains(server) ? .any : .publicOnly
    }

    /// Without a slash at the end; nil when the server does not say.
    package func baseURL(of server: ServerName) async -> String? {
        if let entry = known[server], now() < entry.expiry { return entry.url }
        let url: String?
        do throws(HTTPClientError) {
            url = try await ask(server)
        } catch {
            // Too much was under way: that says nothing of the server.
            return nil
        }
        if known.count >= Self.maximumServers { known.removeAll() }
        let lifetime = url == nil ? Self.failureMilliseconds : Self.lifetimeMilliseconds
        known[server] = (url, now().advanced(byMilliseconds: lifetime))
        return url
    }

    /// - Throws: ``HTTPClientError/overloaded``; other failures are no answer.
    private func ask(_ server: ServerName) async throws(HTTPClientError) -> String? {
        var request = HTTPClientRequest(.get, "https://\(server)/.well-known/matrix/client")
        request.maximumBodyByteCount = 64 << 10
        request.maximumRedirects = 3
        request.addresses = addresses(of: server)
        let response: HTTPClientResponse
        do throws(HTTPClientError) {
            response = try await transport.send(request)
        } catch .overloaded {
            throw .overloaded
        } catch {
            return nil
        }
        guard response.status == 200,
            let text = (try? JSONValue.parse(response.body))?["m.homeserver"]?["base_url"]?.string,
            let url = ConfigurationReader.url(text, schemes: ["https"])
        else { return nil }
        return url
    }
}
