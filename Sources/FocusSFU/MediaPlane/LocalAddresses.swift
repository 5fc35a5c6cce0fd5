// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CDatagramIO

/// The host candidates of a worker's socket.
enum LocalAddresses {
    /// Candidate attribute texts, the best first: configured addresses as they are, then, when there are none or
    /// both are wanted, where the socket is bound, or every interface address that a peer could use.
    static func candidates(for configuration: FocusConfiguration, bind: NetworkAddress, port: UInt16) -> [String] {
        let addresses = addresses(for: configuration, bind: bind)
        return addresses.enumerated().map { index, address in
            var address = address
            address.port = port
            return Candidate(
                host: address, transport: .udp, localPreference: UInt16(clamping: 65_535 - index)
            ).line
        }
    }

    static func addresses(for configuration: FocusConfiguration, bind: NetworkAddress) -> [NetworkAddress] {
        let advertised = configuration.advertisedAddresses.compactMap { NetworkAddress($0, port: 0) }
        let own = ownAddresses(for: configuration, bind: bind)
        guard !advertised.isEmpty else { return own }
        switch configuration.interfaceAddresses {
        case .none: return advertised
        case .ipv6: return advertised + own.filter { !$0.isIPv4 && !advertised.contains($0) }
        case .all: return advertised + own.filter { !advertised.contains($0) }
        }
    }

    private static func ownAddresses(for configuration: FocusConfiguration, bind: NetworkAddress) -> [NetworkAddress] {
        let isAny = bind.low == 0 && bind.high == 0 || bind.isIPv4 && bind.ipv4 == 0
        if !isAny { return [bind] }
        let all = interfaceAddresses()
        let reachable = all.filter { !$0.isLoopback }
        let loopback = all.filter(\.isLoopback)
        // A machine with nothing but loopback can only mean loopback.
        return reachable + (configuration.offersLoopback || reachable.isEmpty ? loopback : [])
    }

    /// Our address from which the kernel sends to a peer by itself, port 0; nil when it has no way there.
    static func source(towards peer: NetworkAddress) -> NetworkAddress? {
        var source = NetworkAddress.unspecified
        guard CDatagramIO_source(peer.high, peer.low, peer.port, &source.high, &source.low) == 1 else { return nil }
        return source
    }

    /// More than any machine that runs this has; what comes after is not offered.
    private static let addressLimit = 64

    /// Addresses of the interfaces that are up, IPv4 first.
    private static func interfaceAddresses() -> [NetworkAddress] {
        var entries = [CDatagramIO_datagram](repeating: CDatagramIO_datagram(), count: addressLimit)
        let count = CDatagramIO_interface_addresses(&entries, UInt32(addressLimit))
        let found = entries.prefix(Int(count)).map { NetworkAddress(high: $0.high, low: $0.low, port: 0) }
        return found.filter(\.isIPv4) + found.filter { !$0.isIPv4 }
    }
}
