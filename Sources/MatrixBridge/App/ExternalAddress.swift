// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Logging

/// What `rtc.use_external_ip` does: the administrator's own STUN and TURN servers are asked from where they see us.
///
/// IPv4 only: IPv6 addresses of the interfaces are what others see. A start never fails for it; without an answer the
/// addresses of the interfaces are offered, as without the key.
enum ExternalAddress {
    /// The addresses for candidates: those of the configuration, else the one found, else none.
    static func advertised(by configuration: BridgeConfiguration, log: Logger) async -> [String] {
        guard configuration.rtc.asksForExternalAddress else { return configuration.rtc.nodeAddresses }
        let servers = servers(of: configuration)
        for server in servers {
            guard let address = await STUNBinding.mappedAddress(seenBy: server.host, port: server.port) else {
                continue
            }
            log.info(
                "A STUN server told our address", metadata: ["address": "\(address.host)", "server": "\(server)"])
            if !PublicAddressRule.allows(octets(of: address)) {
                log.warning(
                    "The address that the STUN server sees is private: it stands in the same network as we do",
                    metadata: ["address": "\(address.host)", "fix": "name the public address in rtc.node_ip"])
            }
            return [address.host]
        }
        if !servers.isEmpty {
            log.warning(
                "No STUN server told our address; clients are offered those of the interfaces",
                metadata: [
                    "asked": "\(servers.map(\.description).joined(separator: ", "))",
                    "fix": "name the public address in rtc.node_ip, or open UDP to the servers",
                ])
        }
        return []
    }

    struct Server: Equatable, CustomStringConvertible {
        var host: String
        var port: UInt16

        var description: String { "\(host):\(port)" }
    }

    /// Listed STUN servers first, then TURN servers over UDP, which answer Binding requests too (RFC 8656 §4).
    static func servers(of configuration: BridgeConfiguration) -> [Server] {
        var servers = configuration.rtc.stunServers.compactMap(server)
        for turn in configuration.turn.servers where turn.transport == .udp {
            let server = Server(host: turn.host, port: UInt16(clamping: turn.port))
            if !servers.contains(server) { servers.append(server) }
        }
        return servers
    }

    /// `host` or `host:port`, with or without `stun:`. An IPv6 literal knows no IPv4 address of ours.
    static func server(_ text: String) -> Server? {
        let plain = text.hasPrefix("stun:") ? text.dropFirst(5) : text[...]
        let parts = plain.split(separator: ":", omittingEmptySubsequences: false)
        guard let host = parts.first, !host.isEmpty, parts.count <= 2 else { return nil }
        guard parts.count == 2 else { return Server(host: String(host), port: 3478) }
        return UInt16(parts[1]).map { Server(host: String(host), port: $0) }
    }

    private static func octets(of address: NetworkAddress) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: address.ipv4 >> $0) }
    }
}
