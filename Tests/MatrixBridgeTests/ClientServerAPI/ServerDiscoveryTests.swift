// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import MatrixBridge
import Testing

@Suite("Server discovery, Server-Server API")
struct ServerDiscoveryTests {
    let web = FakeHomeserver()
    let clock = ManualClock()

    func discovery(
        srv: [String: [SRVRecord]] = [:], allowed: Set<ServerName> = [],
    ) -> ServerDiscovery {
        ServerDiscovery(
            transport: web, resolver: FakeResolver(table: srv), serversOnPrivateAddresses: allowed,
            now: clock.clock.monotonic, random: { 0 })
    }

    func wellKnown(_ host: String, _ server: String, cacheControl: String? = nil) async {
        let headers = cacheControl.map { [HTTPClientField("cache-control", $0)] } ?? []
        await web.answer(
            "https://\(host)/.well-known/matrix/server",
            with: .success(.json(.object(["m.server": .string(server)]), headers: headers)))
    }

    @Test(
        "a literal or a port is used as written, without any lookup",
        arguments: [
            ("1.2.3.4", "https://1.2.3.4:8448"), ("1.2.3.4:99", "https://1.2.3.4:99"), ("[::1]", "https://[::1]:8448"),
            ("[2001:db8::1]:99", "https://[2001:db8::1]:99"), ("example.com:443", "https://example.com:443"),
        ])
    func final(name: String, url: String) async throws {
        #expect(try await discovery().destination(of: Identifier.server(name)) == ServerDestination(baseURL: url))
        #expect(await web.requests.isEmpty)
    }

    @Test("without anything it is port 8448")
    func plain() async throws {
        #expect(
            try await discovery().destination(of: Identifier.server("a.test"))
                == ServerDestination(baseURL: "https://a.test:8448"))
    }

    @Test("the well-known file delegates to a port, a literal, or a name with service records")
    func delegated() async throws {
        await wellKnown("a.test", "b.test:444")
        #expect(try await discovery().destination(of: Identifier.server("a.test")).baseURL == "https://b.test:444")
        await wellKnown("a.test", "5.6.7.8")
        #expect(try await discovery().destination(of: Identifier.server("a.test")).baseURL == "https://5.6.7.8:8448")
        await wellKnown("a.test", "b.test")
        #expect(try await discovery().destination(of: Identifier.server("a.test")).baseURL == "https://b.test:8448")
        let record = SRVRecord(priority: 1, weight: 1, port: 7, target: "host.b.test")
        let found = try await discovery(srv: ["_matrix-fed._tcp.b.test": [record]])
            .destination(of: Identifier.server("a.test"))
        #expect(
            found == ServerDestination(baseURL: "https://b.test", endpoint: .init(host: "host.b.test", port: 7)))
    }

    @Test("service records connect elsewhere but keep the name for TLS; the new service goes first")
    func service() async throws {
        let old = SRVRecord(priority: 1, weight: 1, port: 1, target: "old.test")
        let new = SRVRecord(priority: 1, weight: 1, port: 2, target: "new.test")
        let both = discovery(srv: ["_matrix._tcp.a.test": [old], "_matrix-fed._tcp.a.test": [new]])
        let found = try await both.destination(of: Identifier.server("a.test"))
        #expect(found == ServerDestination(baseURL: "https://a.test", endpoint: .init(host: "new.test", port: 2)))
        let only = try await discovery(srv: ["_matrix._tcp.a.test": [old]]).destination(of: Identifier.server("a.test"))
        #expect(only.endpoint?.host == "old.test")
    }

    @Test("a file that is no delegation counts as none", arguments: ["", "a/b", "user@host", "host:port", "host name"])
    func invalid(server: String) async throws {
        await wellKnown("a.test", server)
        #expect(try await discovery().destination(of: Identifier.server("a.test")).baseURL == "https://a.test:8448")
    }

    @Test("answers are kept as long as the file says")
    func caching() async throws {
        await wellKnown("a.test", "b.test:444", cacheControl: "public, max-age=600")
        let discovery = discovery()
        for _ in 0..<3 { _ = try await discovery.destination(of: Identifier.server("a.test")) }
        #expect(await web.requests.count == 1)
        clock.advance(milliseconds: 600_001)
        _ = try await discovery.destination(of: Identifier.server("a.test"))
        #expect(await web.requests.count == 2)
    }

    @Test("failures are kept an hour at most")
    func negativeCaching() async throws {
        let discovery = discovery()
        _ = try await discovery.destination(of: Identifier.server("a.test"))
        clock.advance(milliseconds: 3_600_001)
        _ = try await discovery.destination(of: Identifier.server("a.test"))
        #expect(await web.requests.count == 2)
    }

    @Test("the memory is bounded")
    func bounded() async throws {
        let discovery = discovery()
        for number in 0...ServerDiscovery.maximumServers {
            _ = try await discovery.destination(of: Identifier.server("s\(number).test"))
            clock.advance(milliseconds: 1)
        }
        _ = try await discovery.destination(of: Identifier.server("s\(ServerDiscovery.maximumServers).test"))
        #expect(await web.requests.count == ServerDiscovery.maximumServers + 1)
        _ = try await discovery.destination(of: Identifier.server("s0.test"))
        #expect(await web.requests.count == ServerDiscovery.maximumServers + 2)
    }

    @Test("only servers of the list may be on private addresses")
    func addresses() async throws {
        let allowed = Identifier.server("a.test")
        let discovery = discovery(allowed: [allowed])
        #expect(try await discovery.destination(of: allowed).addresses == .any)
        #expect(try await discovery.destination(of: Identifier.server("b.test")).addresses == .publicOnly)
        #expect(await web.requests.map(\.addresses) == [.any, .publicOnly])
    }

    @Test("requests for one server share a lookup, and only so many servers are looked up at once")
    func lookups() async throws {
        let held = HeldTransport()
        let discovery = ServerDiscovery(
            transport: held, resolver: FakeResolver(), serversOnPrivateAddresses: [], now: clock.clock.monotonic)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<ServerDiscovery.maximumLookups {
                group.addTask { _ = try await discovery.destination(of: Identifier.server("s\(number).test")) }
            }
            await held.wait(for: ServerDiscovery.maximumLookups)
            group.addTask { _ = try await discovery.destination(of: Identifier.server("s0.test")) }
            await #expect(throws: HTTPClientError.overloaded) {
                try await discovery.destination(of: Identifier.server("late.test"))
            }
            await held.release()
            try await group.waitForAll()
        }
        #expect(await held.count == ServerDiscovery.maximumLookups)
    }

    @Test("an overload is not taken for a server without delegation")
    func overload() async throws {
        let discovery = discovery()
        await web.answer("https://a.test/.well-known/matrix/server", with: .failure(.overloaded))
        await #expect(throws: HTTPClientError.overloaded) {
            try await discovery.destination(of: Identifier.server("a.test"))
        }
        await wellKnown("a.test", "b.test:444")
        #expect(try await discovery.destination(of: Identifier.server("a.test")).baseURL == "https://b.test:444")
    }
}

@Suite("Public addresses, RFC 6890")
struct PublicAddressRuleTests {
    @Test(
        "special ranges are refused and their neighbours allowed",
        arguments: [
            ([10, 0, 0, 1], false), ([9, 255, 255, 255], true), ([100, 64, 0, 1], false), ([100, 63, 0, 1], true),
            ([100, 128, 0, 1], true), ([127, 0, 0, 1], false), ([169, 254, 169, 254], false), ([172, 16, 0, 1], false),
            ([172, 15, 0, 1], true), ([172, 32, 0, 1], true), ([192, 168, 1, 1], false), ([192, 169, 1, 1], true),
            ([198, 18, 0, 1], false), ([198, 20, 0, 1], true), ([0, 0, 0, 0], false), ([224, 0, 0, 1], false),
            ([255, 255, 255, 255], false), ([8, 8, 8, 8], true), ([203, 0, 113, 9], false), ([1, 2, 3], false),
        ] as [([UInt8], Bool)])
    func v4(octets: [UInt8], isAllowed: Bool) {
        #expect(PublicAddressRule.allows(octets) == isAllowed)
        guard octets.count == 4 else { return }
        let zeros = [UInt8](repeating: 0, count: 10)
        #expect(PublicAddressRule.allows(zeros + [0xFF, 0xFF] + octets) == isAllowed)
        #expect(PublicAddressRule.allows([0, 0x64, 0xFF, 0x9B] + zeros[..<8] + octets) == isAllowed)
        #expect(PublicAddressRule.allows([0x20, 0x02] + octets + zeros) == isAllowed)
    }

    @Test(
        "of IPv6 only global unicast is allowed",
        arguments: [
            ([0x20, 0x01, 0x48, 0x60], true), ([0x2A, 0x01, 0, 0], true), ([0xFC, 0, 0, 0], false),
            ([0xFE, 0x80, 0, 0], false), ([0xFF, 2, 0, 0], false), ([0x20, 0x01, 0x0D, 0xB8], false),
            ([0x20, 0x01, 0, 0], false), ([0, 0, 0, 0], false),
        ] as [([UInt8], Bool)])
    func v6(prefix: [UInt8], isAllowed: Bool) {
        #expect(PublicAddressRule.allows(prefix + [UInt8](repeating: 0, count: 11) + [1]) == isAllowed)
    }
}

@Suite("Service records, RFC 2782")
struct SRVRecordTests {
    /// One answer: `_m._tcp.a.` → 10 5 8448 `h.a.`, with the target's tail compressed.
    static let answer: [UInt8] =
        [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]  // id, flags, counts
        + [2, 0x5F, 0x6D, 4, 0x5F, 0x74, 0x63, 0x70, 1, 0x61, 0, 0, 33, 0, 1]  // question; "a" is at 20
        + [0xC0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 10, 0, 10, 0, 5, 0x21, 0, 1, 0x68, 0xC0, 20]

    static func parse(_ bytes: [UInt8]) -> [SRVRecord] {
        bytes.withUnsafeBytes { SRVRecord.parse($0) }
    }

    @Test("an answer with a compressed target")
    func compressed() {
        #expect(Self.parse(Self.answer) == [SRVRecord(priority: 10, weight: 5, port: 8_448, target: "h.a")])
    }

    @Test("cut anywhere it gives nothing; changed anywhere it does not trap or hang")
    func hostile() {
        for length in 0..<Self.answer.count { #expect(Self.parse(Array(Self.answer[..<length])).isEmpty) }
        for index in Self.answer.indices {
            for byte: UInt8 in [0, 1, 0x3F, 0x40, 0xC0, 0xFF] {
                var changed = Self.answer
                changed[index] = byte
                _ = Self.parse(changed)
            }
        }
    }

    @Test("a pointer to itself ends the name")
    func loop() {
        var looping = Self.answer
        looping[looping.count - 1] = UInt8(looping.count - 2)
        #expect(Self.parse(looping).isEmpty)
    }

    @Test("the lowest priority wins, then the weight decides")
    func choice() {
        let records = [
            SRVRecord(priority: 2, weight: 100, port: 1, target: "late"),
            SRVRecord(priority: 1, weight: 1, port: 1, target: "light"),
            SRVRecord(priority: 1, weight: 3, port: 1, target: "heavy"),
        ]
        #expect(SRVRecord.choose(from: records, random: 0)?.target == "light")
        #expect(SRVRecord.choose(from: records, random: 0.24)?.target == "light")
        #expect(SRVRecord.choose(from: records, random: 0.26)?.target == "heavy")
        #expect(SRVRecord.choose(from: records, random: 0.99)?.target == "heavy")
        #expect(SRVRecord.choose(from: [], random: 0) == nil)
    }
}

@Suite("Retry policy")
struct RetryPolicyTests {
    @Test("grows to its cap, between half and the whole step; the server's wish wins within bounds")
    func delays() {
        let policy = RetryPolicy(firstDelayMilliseconds: 100, factor: 2, maximumDelayMilliseconds: 1_000)
        #expect(policy.delayMilliseconds(failures: 1, random: 0) == 50)
        #expect(policy.delayMilliseconds(failures: 1, random: 1) == 100)
        #expect(policy.delayMilliseconds(failures: 3, random: 1) == 400)
        #expect(policy.delayMilliseconds(failures: .max, random: 1) == 1_000)
        #expect(policy.delayMilliseconds(failures: 0, random: 1) == 100)
        #expect(policy.delayMilliseconds(failures: 1, requested: 3_000, random: 0) == 3_000)
        #expect(policy.delayMilliseconds(failures: 1, requested: .max, random: 0) == 10_000)
    }
}
