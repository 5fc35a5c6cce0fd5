// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import MatrixBridge
import Testing

@Suite("Requests to the servers that strangers name")
struct HTTPTransportLimitTests {
    static func request(_ url: String, connectingTo host: String? = nil) -> HTTPClientRequest {
        var request = HTTPClientRequest(.get, url)
        request.endpoint = host.map { HTTPClientRequest.Endpoint(host: $0, port: 1) }
        return request
    }

    @Test("a host that does not answer holds a few requests, whatever its port and path; others go on")
    func perHost() async throws {
        let held = HeldTransport()
        let limit = HTTPTransportLimit(held, requestsPerHost: 2, timeoutMilliseconds: 5_000)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { _ = try await limit.send(Self.request("https://a.test/x")) }
            group.addTask { _ = try await limit.send(Self.request("https://A.test:99/y")) }
            await held.wait(for: 2)
            await #expect(throws: HTTPClientError.overloaded) {
                try await limit.send(Self.request("https://a.test:8448/z"))
            }
            group.addTask { _ = try await limit.send(Self.request("https://b.test")) }
            await held.wait(for: 3)
            await #expect(throws: HTTPClientError.overloaded) {
                try await limit.send(Self.request("https://c.test", connectingTo: "a.test"))
            }
            await held.release()
            try await group.waitForAll()
            // Their places are free again.
            group.addTask { _ = try await limit.send(Self.request("https://a.test")) }
            await held.wait(for: 4)
            await held.release()
            try await group.waitForAll()
        }
        #expect(await held.requests.allSatisfy { $0.timeoutMilliseconds == 5_000 })
    }

    @Test("other servers are asked by the way of strangers, our homeserver by its own")
    func ways() async throws {
        let (own, strangers) = (FakeHomeserver(), FakeHomeserver())
        await own.set("tok", belongsTo: "@alice:example.com")
        let remote = Identifier.server("1.2.3.4")
        await strangers.set("tok", on: "https://1.2.3.4:8448", belongsTo: "@bob:1.2.3.4")
        let verifier = OpenIDVerifier(
            transport: own, federation: strangers,
            discovery: ServerDiscovery(
                transport: strangers, resolver: FakeResolver(), serversOnPrivateAddresses: [],
                now: ManualClock().clock.monotonic),
            localServer: FakeHomeserver.local, localBaseURL: FakeHomeserver.localBaseURL)
        let local = try await verifier.verify(.init(accessToken: "tok", server: FakeHomeserver.local))
        #expect(local == Identifier.user("@alice:example.com"))
        #expect(try await verifier.verify(.init(accessToken: "tok", server: remote)) == Identifier.user("@bob:1.2.3.4"))
        #expect(await own.requests.count == 1)
        #expect(await strangers.requests.count == 1)
    }
}
