// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Finds the transport that a datagram is for: by the address it comes from, or by the user name of a check.
///
/// A transport must be taken out with ``removeAll(of:)`` before it goes away.
struct TransportTable: ~Copyable {
    private var addresses: AddressTable<Unmanaged<PeerTransport>>
    private var fragments: [UInt64: Unmanaged<PeerTransport>] = [:]
    private var addressesOf: [ObjectIdentifier: Set<NetworkAddress>] = [:]
    private var fragmentsOf: [ObjectIdentifier: Set<UInt64>] = [:]

    /// - Parameter seed: random, so that nobody can choose addresses that collide.
    init(seed: UInt64) {
        addresses = AddressTable(seed: seed)
    }

    /// Who receives from this address.
    @inline(__always)
    func owner(of address: NetworkAddress) -> Unmanaged<PeerTransport>? {
        addresses[address]
    }

    /// Whose check has this fragment of ours in its user name.
    func owner(ofUsernameFragment fragment: UnsafeRawBufferPointer) -> Unmanaged<PeerTransport>? {
        ICECredentials.key(ofUsernameFragment: fragment).flatMap { fragments[$0] }
    }

    mutating func add(usernameFragment: String, of transport: PeerTransport) {
        guard let key = ICECredentials.key(ofUsernameFragment: usernameFragment.utf8) else { return }
        fragments[key] = Unmanaged.passUnretained(transport)
        fragmentsOf[ObjectIdentifier(transport), default: []].insert(key)
    }

    mutating func remove(usernameFragment: String) {
        guard let key = ICECredentials.key(ofUsernameFragment: usernameFragment.utf8),
            let transport = fragments.removeValue(forKey: key)
        else { return }
        fragmentsOf[ObjectIdentifier(transport.takeUnretainedValue())]?.remove(key)
    }

    mutating func add(_ address: NetworkAddress, of transport: PeerTransport) {
        // An address that moves to another participant (a NAT that reuses ports) leaves the first one.
        let previous = addresses[address]?.takeUnretainedValue()
        if previous === transport { return }
        if let previous {
            addressesOf[ObjectIdentifier(previous)]?.remove(address)
        }
        addresses.insert(Unmanaged.passUnretained(transport), at: address)
        addressesOf[ObjectIdentifier(transport), default: []].insert(address)
    }

    mutating func remove(_ address: NetworkAddress, of transport: PeerTransport) {
        guard addresses[address]?.takeUnretainedValue() === transport else { return }
        addresses.remove(address)
        addressesOf[ObjectIdentifier(transport)]?.remove(address)
    }

    mutating func removeAll(of transport: PeerTransport) {
        let id = ObjectIdentifier(transport)
        for address in addressesOf.removeValue(forKey: id) ?? [] { addresses.remove(address) }
        for fragment in fragmentsOf.removeValue(forKey: id) ?? [] { fragments[fragment] = nil }
    }
}
