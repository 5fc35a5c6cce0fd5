// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Host candidates, RFC 8445 §5.1.1")
struct LocalAddressesTests {
    private static func configuration(
        advertised: [String] = [], offersLoopback: Bool = false
    ) throws -> FocusConfiguration {
        var configuration = FocusConfiguration(
            keys: try APIKeySet(secrets: ["devkey": "a secret of the tests, 32 letters long"]))
        configuration.advertisedAddresses = advertised
        configuration.offersLoopback = offersLoopback
        return configuration
    }

    private static let any = NetworkAddress(high: 0, low: 0, port: 0)

    @Test("configured addresses are offered as they are, in their order, without what is no address")
    func advertised() throws {
        let lines = LocalAddresses.candidates(
            for: try Self.configuration(advertised: ["203.0.113.7", "focus.example.com", "2001:db8::7"]),
            bind: Self.any,
            port: 7882)
        #expect(lines.count == 2)
        let fields = lines.map { $0.split(separator: " ").map(String.init) }
        #expect(fields.map { $0[4] } == ["203.0.113.7", "2001:db8::7"])
        #expect(
            fields.allSatisfy { $0[5] == "7882" && $0[2].lowercased() == "udp" && $0.suffix(2) == ["typ", "host"] })
        let priorities = fields.compactMap { UInt32($0[3]) }
        #expect(priorities.count == 2 && priorities[0] > priorities[1])
    }

    @Test("the interfaces follow the configured addresses where both are wanted, each address once")
    func besideAdvertised() throws {
        var configuration = try Self.configuration()
        let own = LocalAddresses.addresses(for: configuration, bind: Self.any)
        let first = try #require(own.first)
        configuration.advertisedAddresses = ["203.0.113.7", first.host]
        let named = LocalAddresses.addresses(for: configuration, bind: Self.any)
        #expect(named.map(\.host) == configuration.advertisedAddresses)
        configuration.interfaceAddresses = .all
        #expect(LocalAddresses.addresses(for: configuration, bind: Self.any) == named + own.filter { $0 != first })
        configuration.interfaceAddresses = .ipv6
        #expect(
            LocalAddresses.addresses(for: configuration, bind: Self.any)
                == named + own.filter { $0 != first && !$0.isIPv4 })
    }

    @Test("a socket bound to one address offers that one")
    func bound() throws {
        let bind = try #require(NetworkAddress("127.0.0.1", port: 9))
        #expect(LocalAddresses.addresses(for: try Self.configuration(), bind: bind) == [bind])
    }

    @Test("a wildcard offers the interfaces, loopback only when asked or when there is nothing else")
    func wildcard() throws {
        let plain = LocalAddresses.addresses(for: try Self.configuration(), bind: Self.any)
        #expect(!plain.isEmpty)
        #expect(plain.allSatisfy { !$0.isLoopback } || plain.allSatisfy(\.isLoopback))
        let all = LocalAddresses.addresses(for: try Self.configuration(offersLoopback: true), bind: Self.any)
        #expect(all.contains { $0.isLoopback })
        #expect(Set(plain).isSubset(of: all))
        // Link-local IPv6 would need a scope.
        #expect(all.allSatisfy { $0.high >> 54 != 0x3FA })
        let v4Wildcard = try #require(NetworkAddress("0.0.0.0", port: 0))
        #expect(LocalAddresses.addresses(for: try Self.configuration(), bind: v4Wildcard) == plain)
    }
}
