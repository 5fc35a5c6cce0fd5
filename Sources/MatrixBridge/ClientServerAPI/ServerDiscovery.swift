// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
package import FocusSFU

/// Where the federation API of a server is.
package struct ServerDestination: Equatable, Sendable {
    /// `https://` and what `Host` and the certificate must name; no slash at the end.
    package var baseURL: String
    /// Where to connect when that is not what the URL says (SRV).
    package var endpoint: HTTPClientRequest.Endpoint?
    package var addresses: HTTPClientRequest.AddressScope

    package init(
        baseURL: String, endpoint: HTTPClientRequest.Endpoint? = nil,
        addresses: HTTPClientRequest.AddressScope = .publicOnly,
    ) {
        self.baseURL = baseURL
        self.endpoint = endpoint
        self.addresses = addresses
    }
}

/// Finds the federation API of a server by its name (Server-Server API, "Resolving server names"): literal or port as
/// written, then the well-known file, then SRV records, then port 8448.
///
/// Answers are kept for as long as the well-known file may be cached, at most ``maximumServers`` of them. Requests for
/// one server share a lookup, and at most ``maximumLookups`` are under way. A server that is not in the allow-list is
/// reached on public addresses only, so that a name cannot aim us at our own network.
package actor ServerDiscovery {
    /// Remembered servers. When full, the one that expires first makes room.
    package static let maximumServers = 1_024
    /// Servers looked up at once; one more is refused.
    package static let maximumLookups = 256

    private let transport: any HTTPTransport
    private let resolver: any SRVResolving
    private let serversOnPrivateAddresses: Set<ServerName>
    private let now: @Sendable () -> MonotonicTime
    private let random: @Sendable () -> Double
    private var known: [ServerName: (destination: ServerDestination, expiry: MonotonicTime)] = [:]
    private var lookups: [ServerName: Task<Result<ServerDestination, HTTPClientError>, Never>] = [:]

    package init(
        transport: any HTTPTransport, resolver: any SRVResolving, serversOnPrivateAddresses: Set<ServerName>,
        now: @escaping @Sendable () -> MonotonicTime,
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) },
    ) {
        self.transport = transport
        self.resolver = resolver
        self.serversOnPrivateAddresses = serversOnPrivateAddresses
        self.now = now
        self.random = random
    }

    /// - Throws: ``HTTPClientError/overloaded``, of which nothing is remembered; other failures mean that a server does
    ///   not delegate.
    package func destination(of server: ServerName) async throws(HTTPClientError) -> ServerDestination {
        if let entry = known[server], now() < entry.expiry { return entry.destination }
        let addresses: HTTPClientRequest.AddressScope =
            serversOnPrivateAddresses.contains(server) ? .any : .publicOnly
        let address = ServerAddress(server)
        guard !address.isFinal else { return address.destination(addresses) }
        if let lookup = lookups[server] { return try await lookup.value.get() }
        guard lookups.count < Self.maximumLookups else { throw .overloaded }
        let lookup = Task { await self.lookUp(server, at: address.host, addresses) }
        lookups[server] = lookup
        return try await lookup.value.get()
    }

    private func lookUp(
        _ server: ServerName, at host: String, _ addresses: HTTPClientRequest.AddressScope,
    ) async -> Result<ServerDestination, HTTPClientError> {
        defer { lookups[server] = nil }
        do throws(HTTPClientError) {
            let file = try await lookUpWellKnown(host, addresses)
            let delegated = file.server.map(ServerAddress.init)
            let destination =
                if let delegated, delegated.isFinal {
                    delegated.destination(addresses)
                } else {
                    try await lookUpSRV(delegated?.host ?? host, addresses)
                }
            remember(destination, for: server, seconds: file.lifetimeSeconds)
            return .success(destination)
        } catch {
            return .failure(error)
        }
    }

    private func lookUpWellKnown(
        _ host: String, _ addresses: HTTPClientRequest.AddressScope,
    ) async throws(HTTPClientError) -> WellKnownServer {
        var request = HTTPClientRequest(.get, "https://\(host)/.well-known/matrix/server")
        request.maximumBodyByteCount = 64 << 10
        request.maximumRedirects = 5
        request.addresses = addresses
        do throws(HTTPClientError) {
            return WellKnownServer(try await transport.send(request))
        } catch .overloaded {
            throw .overloaded
        } catch {
            return .absent
        }
    }

    private func lookUpSRV(
        _ host: String, _ addresses: HTTPClientRequest.AddressScope,
    ) async throws(HTTPClientError) -> ServerDestination {
        for service in ["_matrix-fed._tcp.", "_matrix._tcp."] {
            let records = try await resolver.records(of: service + host)
            guard let record = SRVRecord.choose(from: records, random: random()) else { continue }
            return ServerDestination(
                baseURL: "https://\(host)", endpoint: .init(host: record.target, port: record.port),
                addresses: addresses)
        }
        return ServerDestination(baseURL: "https://\(host):8448", addresses: addresses)
    }

    private func remember(_ destination: ServerDestination, for server: ServerName, seconds: UInt64) {
        if known.count >= Self.maximumServers, known[server] == nil,
            let first = known.min(by: { $0.value.expiry < $1.value.expiry })?.key
        {
            known[first] = nil
        }
        known[server] = (destination, now().advanced(byMilliseconds: seconds * 1_000))
    }
}

/// A server name taken apart.
struct ServerAddress: Equatable {
    /// Name or literal; IPv6 in brackets.
    var host: String
    var port: String?
    var isLiteral: Bool

    init(_ server: ServerName) {
        let text = server.rawValue
        let hostEnd =
            text.hasPrefix("[")
            ? text.firstIndex(of: "]").map(text.index(after:)) ?? text.endIndex
            : text.firstIndex(of: ":") ?? text.endIndex
        self.host = String(text[..<hostEnd])
        self.port = hostEnd < text.endIndex ? String(text[text.index(after: hostEnd)...]) : nil
        self.isLiteral = text.hasPrefix("[") || NetworkAddress(self.host, port: 0) != nil
    }

    /// No lookup beyond the address of the host is allowed.
    var isFinal: Bool { isLiteral || port != nil }

    func destination(_ addresses: HTTPClientRequest.AddressScope) -> ServerDestination {
        ServerDestination(baseURL: "https://\(host):\(port ?? "8448")", addresses: addresses)
    }
}

/// What `/.well-known/matrix/server` said, and for how long to believe it.
struct WellKnownServer: Equatable {
    /// The delegated server; nil when there is no valid file.
    var server: ServerName?
    var lifetimeSeconds: UInt64

    /// No file, or none that can be read.
    static let absent = WellKnownServer(server: nil, lifetimeSeconds: 3_600)

    private static let defaultLifetimeSeconds: UInt64 = 24 * 3_600
    private static let lifetimeLimits: ClosedRange<UInt64> = 60...(48 * 3_600)

    init(server: ServerName?, lifetimeSeconds: UInt64) {
        self.server = server
        self.lifetimeSeconds = lifetimeSeconds
    }

    init(_ response: HTTPClientResponse) {
        guard response.status == 200, let body = try? JSONValue.parse(response.body),
            let server = body["m.server"]?.string.flatMap(ServerName.init)
        else {
            self = .absent
            return
        }
        let lifetime = Self.lifetimeSeconds(response.header("Cache-Control") ?? "")
        self.init(
            server: server,
            lifetimeSeconds: min(max(lifetime, Self.lifetimeLimits.lowerBound), Self.lifetimeLimits.upperBound))
    }

    private static func lifetimeSeconds(_ cacheControl: String) -> UInt64 {
        let directives = cacheControl.lowercased().split(separator: ",").map { $0.filter { $0 != " " } }
        if directives.contains("no-store") || directives.contains("no-cache") { return 0 }
        return directives.lazy.compactMap { directive in
            directive.hasPrefix("max-age=") ? UInt64(directive.dropFirst("max-age=".count)) : nil
        }.first ?? defaultLifetimeSeconds
    }
}
