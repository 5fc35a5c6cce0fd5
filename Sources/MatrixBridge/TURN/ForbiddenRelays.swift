// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import TURNCreds

/// Addresses to which no relay of ours may send, and whether a server refuses them.
enum ForbiddenRelays {
    /// What came of one attempt.
    enum Outcome: Equatable, Sendable {
        case refused(String)
        /// The server would send there: whoever takes part in a call reaches what listens there.
        case allowed
        /// Nothing can be said.
        case unknown(TURNConnectionFault)
    }

    struct Finding: Equatable, Sendable {
        let uri: String
        /// `10.0.0.0/8 (10.0.0.1)`
        let target: String
        let outcome: Outcome
    }

    /// Both ends of each range, or what in it is worth most to an attacker.
    static let ranges: [(range: String, addresses: [String])] = [
        ("0.0.0.0/8", ["0.0.0.0"]),
        ("127.0.0.0/8", ["127.0.0.1", "127.255.255.254"]),
        ("10.0.0.0/8", ["10.0.0.1", "10.255.255.254"]),
        ("100.64.0.0/10", ["100.64.0.1"]),
        ("172.16.0.0/12", ["172.16.0.1", "172.31.255.254"]),
        ("192.168.0.0/16", ["192.168.0.1", "192.168.255.254"]),
        ("169.254.0.0/16", ["169.254.0.1", "169.254.169.254"]),
        ("::", ["::"]),
        ("::1", ["::1"]),
        ("::ffff:0:0/96", ["::ffff:127.0.0.1", "::ffff:10.0.0.1"]),
        ("fc00::/7", ["fc00::1", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"]),
        ("fe80::/10", ["fe80::1"]),
    ]

    /// Any port would do: permissions are by address.
    private static let port: UInt16 = 80

    /// Tries every range at one server, and whether it relays TCP, by which our own TCP ports could be reached. Waits
    /// on the calling thread.
    static func test(_ server: TURNServer, _ access: TURNServerAccess) -> [Finding] {
        var findings: [Finding] = []
        for family in [TURNOperation.Family.ipv4, .ipv6] {
            let peers = ranges.flatMap { entry in
                entry.addresses.compactMap { literal in
                    RelayAddress(literal, port: port).map { (target: "\(entry.range) (\(literal))", peer: $0) }
                }
            }.filter { $0.peer.isIPv6 == (family == .ipv6) }
            findings += test(peers, family, server, access)
        }
        return findings + [testTCP(server, access)]
    }

    private static func test(
        _ peers: [(target: String, peer: RelayAddress)], _ family: TURNOperation.Family, _ server: TURNServer,
        _ access: TURNServerAccess
    ) -> [Finding] {
        func all(_ outcome: Outcome) -> [Finding] {
            peers.map { Finding(uri: server.uri, target: $0.target, outcome: outcome) }
        }
        do throws(TURNConnectionFault) {
            let (connection, allocation) = try TURNProbe.allocate(server, access, family: family)
            defer { TURNProbe.release(connection) }
            // A server without addresses of the family may give one of the other.
            guard allocation.relayed.isIPv6 == (family == .ipv6) else {
                return all(.refused("the server has no relay address of the family"))
            }
            return peers.map { target, peer in
                Finding(uri: server.uri, target: target, outcome: outcome(of: .createPermission(peer), connection))
            }
        } catch {
            let isRefusal = family == .ipv6 && [400, 420, 440, 442, 508].contains(error.refusalCode)
            return all(isRefusal ? .refused(error.cause) : .unknown(error))
        }
    }

    private static func outcome(of operation: TURNOperation, _ connection: TURNConnection) -> Outcome {
        do throws(TURNConnectionFault) {
            try connection.perform(operation)
            return .allowed
        } catch {
            // Some servers call a peer of a range they do not serve another family, or malformed.
            return [400, 403, 443].contains(error.refusalCode) ? .refused(error.cause) : .unknown(error)
        }
    }

    private static func testTCP(_ server: TURNServer, _ access: TURNServerAccess) -> Finding {
        let target = "TCP relaying (RFC 6062), to our own TCP ports"
        do throws(TURNConnectionFault) {
            let (connection, _) = try TURNProbe.allocate(server, access, relayProtocol: .tcp)
            TURNProbe.release(connection)
            return Finding(uri: server.uri, target: target, outcome: .allowed)
        } catch {
            let isRefusal = [400, 403, 420, 442].contains(error.refusalCode)
            let outcome: Outcome = isRefusal ? .refused(error.cause) : .unknown(error)
            return Finding(uri: server.uri, target: target, outcome: outcome)
        }
    }
}
