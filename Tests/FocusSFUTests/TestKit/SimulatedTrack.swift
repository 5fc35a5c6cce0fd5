// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

@testable import FocusSFU

/// A track that a simulated client publishes: numbers its packets and remembers them for retransmission.
final class SimulatedTrack {
    static let opus: UInt8 = 111
    static let vp8: UInt8 = 96
    static let vp8RTX: UInt8 = 97
    static let vp9: UInt8 = 98

    /// VP8 payload descriptor with S, then the first byte of the frame: P is 0 in a key frame (RFC 7741).
    static let keyFrame: [UInt8] = [0x10, 0x00, 0x9D, 0x01, 0x2A]
    static let deltaFrame: [UInt8] = [0x10, 0x01, 0x00]
    /// The beginning and end of a VP9 frame that needs no other.
    static let vp9KeyFrame: [UInt8] = [0x0C, 0x01]

    let cid: String
    let isVideo: Bool
    let mid: String
    unowned let connection: SimulatedConnection
    /// Given by the server when it takes the announcement.
    var sid = ""
    var ssrc = Random.uint32() | 1
    let rtxSSRC = Random.uint32() | 1
    var sequence: UInt16
    var payloadType: UInt8
    var timestamp = Random.uint32()
    private var rtxSequence: UInt16 = 100
    private(set) var sent: [UInt16: SimulatedConnection.Media] = [:]
    /// Shared by the tracks of a connection in reality; one of its own does for a single track.
    private var transportSequence: UInt16 = 0

    init(cid: String, isVideo: Bool, mid: String, connection: SimulatedConnection, firstSequence: UInt16) {
        self.cid = cid
        self.isVideo = isVideo
        self.mid = mid
        self.connection = connection
        sequence = firstSequence
        payloadType = isVideo ? Self.vp8 : Self.opus
    }

    /// Sends the next packet, or uses up its number when it is lost.
    @discardableResult
    func send(
        _ payload: [UInt8], isLost: Bool = false, endsFrame: Bool = true, padding: Int = 0, level: UInt8? = nil
    ) -> [UInt8] {
        let packet = SimulatedConnection.Media(
            ssrc: ssrc, payloadType: payloadType, sequence: sequence, timestamp: timestamp,
            marker: isVideo && endsFrame, payload: payload)
        sent[sequence] = packet
        sequence &+= 1
        if endsFrame { timestamp &+= isVideo ? 3_000 : 960 }
        return connection.sendRTP(
            packet, extensions: extensions + (level.map { [(1, [$0])] } ?? []), padding: padding, isLost: isLost)
    }

    /// Repeats a lost packet as RFC 4588 says.
    func retransmit(_ sequence: UInt16) {
        guard let lost = sent[sequence] else { return }
        var packet = lost
        packet.ssrc = rtxSSRC
        packet.payloadType = Self.vp8RTX
        packet.sequence = rtxSequence
        packet.payload = [UInt8(sequence >> 8), UInt8(sequence & 0xFF)] + lost.payload
        rtxSequence &+= 1
        connection.sendRTP(packet, extensions: extensions)
    }

    private var extensions: [(id: UInt8, value: [UInt8])] {
        transportSequence &+= 1
        return [(4, Array(mid.utf8)), (3, [UInt8(transportSequence >> 8), UInt8(transportSequence & 0xFF)])]
    }
}
