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
        let url = await ask(server)
        if known.count >= Self.maximumServers { known.removeAll() }
        let lifetime = url == nil ? Self.failureMilliseconds : Self.lifetimeMilliseconds
        known[server] = (url, now().advanced(byMilliseconds: lifetime))
        return url
    }

    private func ask(_ server: ServerName) async -> String? {
        var request = HTTPClientRequest(.get, "https://\(server)/.well-known/matrix/client")
        request.maximumBodyByteCount = 64 << 10
        request.maximumRedirects = 3
        request.addresses = addresses(of: server)
        guard let response = try? await transport.send(request), response.status == 200,
            let text = (try? JSONValue.parse(response.body))?["m.homeserver"]?["base_url"]?.string,
            let url = ConfigurationReader.url(text, schemes: ["https"])
        else { return nil }
        return url
    }
}
