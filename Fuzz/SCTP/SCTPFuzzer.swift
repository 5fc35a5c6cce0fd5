// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import FuzzInput

/// Two associations that the fuzzer stands between, and data channels on the one under attack.
///
///     | action | length (2) | bytes | …
///
/// The low bits of an action: 0 brings chunks with the header and checksum of the real peer, 1 whole packets, 2 lets
/// the real packets of both sides arrive, 3 lets time pass.
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzSCTP(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    var input = FuzzInput(start, count)
    guard let target = try? SCTPAssociation(onReady: { _ in }), let peer = try? SCTPAssociation(onReady: { _ in })
    else { return 0 }
    var path = HostilePath(target: DataChannels(role: .server, association: target), peer: peer)
    path.begin()
    var actions = 0
    while !input.isEmpty, actions < 64 {
        let action = input.nextByte()
        path.take(action, input.nextDatagram())
        actions += 1
    }
    path.end()
    return 0
}

private struct HostilePath {
    private let target: DataChannels
    private let peer: SCTPAssociation
    private var toTarget: [[UInt8]] = []
    private var toPeer: [[UInt8]] = []
    /// Ports and verification tag that the target expects, learned from the real peer.
    private var header: [UInt8] = [0x13, 0x88, 0x13, 0x88, 0, 0, 0, 0]

    init(target: DataChannels, peer: SCTPAssociation) {
        self.target = target
        self.peer = peer
    }

    mutating func begin() {
        target.connect()
        peer.connect()
        for _ in 0..<4 {
            drain()
            exchange()
        }
        _ = try? target.open(DataChannelParameters(label: "_reliable"))
        drain()
    }

    mutating func end() {
        target.closeAssociation()
        peer.close()
        drain()
    }

    mutating func take(_ action: UInt8, _ bytes: UnsafeRawBufferPointer) {
        switch action & 3 {
        case 0:
            let packet = withChecksum(header + [0, 0, 0, 0] + bytes)
            _ = packet.withUnsafeBytes { target.receive($0) }
        case 1:
            _ = target.receive(bytes)
        case 2:
            exchange()
        default:
            SCTPStack.process.handleTimers(elapsedMilliseconds: 16 * UInt32(action >> 2))
        }
        drain()
    }

    private mutating func exchange() {
        let (forTarget, forPeer) = (toTarget, toPeer)
        toTarget = []
        toPeer = []
        for packet in forTarget { _ = packet.withUnsafeBytes { target.receive($0) } }
        for packet in forPeer { _ = packet.withUnsafeBytes { peer.receive($0) } }
    }

    private mutating func drain() {
        while let output = target.nextOutput() {
            switch output {
            case .transmit(let packet):
                precondition(packet.count <= SCTPAssociation.packetLimit, "a packet that is too long")
                toPeer.append(packet)
            case .message(_, _, let bytes):
                precondition(bytes.count <= SCTPAssociation.receiveLimit, "a message that is too long")
            case .connected, .opened, .closed, .refused, .associationClosed:
                break
            }
        }
        while let output = peer.nextOutput() {
            guard case .transmit(let packet) = output else { continue }
            // An INIT carries no tag yet.
            if packet.count >= 12, packet[4..<8].contains(where: { $0 != 0 }) { header = Array(packet[0..<8]) }
            toTarget.append(packet)
        }
        toTarget = Array(toTarget.suffix(64))
        toPeer = Array(toPeer.suffix(64))
    }
}

/// Fills in the CRC32c (RFC 9260 §6.8 and appendix A), which goes on the wire with its low byte first.
private func withChecksum(_ packet: [UInt8]) -> [UInt8] {
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in packet {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 0 ? 0 : 0x82F6_3B78) }
    }
    var packet = packet
    for place in 0..<4 { packet[8 + place] = UInt8(truncatingIfNeeded: ~crc >> UInt32(8 * place)) }
    return packet
}
