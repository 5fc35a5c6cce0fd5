// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CAllocationCount
import CDatagramIO
@testable import FocusSFU
import Glibc

/// A turn of packets on its way to subscribers as the product forwards it: admission, header, encryption, batch and
/// system call. The datagrams go to a socket on loopback that nobody reads, so that the kernel's receiving side costs
/// little.
final class ForwardingPath {
    static let profiles = SRTPProfile.allCases

    private static let warmUpTurns = 50
    private static let datagramsWanted = 200_000

    private let profile: SRTPProfile
    private let payloadLength: Int
    private let sink: Int32
    private let socket: Int32
    private let forwarder: Forwarder
    private let turn: UnsafeMutablePointer<Turn>
    private let track: UnsafeMutablePointer<TrackRoute>
    private let payload: UnsafeMutableRawBufferPointer
    private var subscribers: [Subscriber] = []
    private var sequence: Int64 = 0

    init(profile: SRTPProfile, subscriberCount: Int, isVideo: Bool, payloadLength: Int) throws {
        self.profile = profile
        self.payloadLength = payloadLength
        let loopback: UInt64 = 0x0000_FFFF_7F00_0001
        var sinkPort: UInt16 = 0
        var port: UInt16 = 0
        sink = CDatagramIO_open(0, 0, 0, 4096, &sinkPort)
        socket = CDatagramIO_open(0, loopback, 0, 8 << 20, &port)
        guard let forwarder = Forwarder(socket: socket) else { throw SocketError(call: "allocate", errno: ENOMEM) }
        self.forwarder = forwarder
        payload = .allocate(byteCount: payloadLength, alignment: 16)
        payload.initializeMemory(as: UInt8.self, repeating: 0x5A)
        turn = .allocate(capacity: 1)
        turn.initialize(to: Turn())
        track = .allocate(capacity: 1)
        track.initialize(to: TrackRoute(isVideo: isVideo))
        for number in 0..<subscriberCount {
            // Addresses of their own, or segmentation would join what belongs to different subscribers.
            let address = NetworkAddress(high: 0, low: loopback + UInt64(number), port: sinkPort)
            let subscriber = try Subscriber(profile, number: UInt32(number), isVideo: isVideo, address: address)
            subscribers.append(subscriber)
            track.pointee.add(.init(stream: subscriber.stream, transport: subscriber.route, lane: 0))
        }
    }

    deinit {
        for subscriber in subscribers { subscriber.release() }
        track.pointee.release()
        track.deallocate()
        turn.pointee.release()
        turn.deallocate()
        payload.deallocate()
        close(sink)
        close(socket)
    }

    /// Single packets, then the packets of a picture as one turn, which segmentation makes cheap. False when anything
    /// was allocated.
    func measure() -> Bool {
        measure(packetsInTurn: 1, as: "paced") && measure(packetsInTurn: 8, as: "burst of 8")
    }

    private func measure(packetsInTurn: Int, as pacing: String) -> Bool {
        let turns = max(1, Self.datagramsWanted / (subscribers.count * packetsInTurn))
        for _ in 0..<Self.warmUpTurns { forward(packetsInTurn) }
        let forwarded = forwarder.packetsForwarded
        let allocations = CAllocationCount_now()
        let began = processorTime()
        for _ in 0..<turns { forward(packetsInTurn) }
        let nanoseconds = Double(processorTime() - began) / Double(turns * packetsInTurn * subscribers.count)
        let allocated = CAllocationCount_now() - allocations
        precondition(
            forwarder.packetsForwarded - forwarded == UInt64(turns * packetsInTurn * subscribers.count),
            "packets were left out")
        let name = "path 1→\(subscribers.count), \(payloadLength) B, \(pacing), \(profile)"
        report(name, "\(Int(nanoseconds)) ns a packet, \(allocated) allocations\(allocated == 0 ? "" : "  OVER")")
        return allocated == 0
    }

    private func forward(_ count: Int) {
        for _ in 0..<count {
            turn.pointee.add(
                ReceivedPacket(
                    extended: sequence, timestamp: UInt32(truncatingIfNeeded: sequence / 8 * 3_000),
                    marker: sequence % 8 == 7, isKeyFrame: sequence == 0, isOfKeyFrame: sequence == 0, layer: 0,
                    descriptor: UnsafeRawBufferPointer(start: nil, count: 0), payload: UnsafeRawBufferPointer(payload)),
                of: track)
            sequence += 1
        }
        turn.pointee.time = MonotonicTime(nanoseconds: UInt64(sequence) * 1_000_000)
        forwarder.forward(turn)
        forwarder.egress.flush()
        turn.pointee.forget()
    }
}

/// One that receives the packets, with keys of its own.
struct Subscriber {
    let session: SRTPSession
    let stream: UnsafeMutablePointer<DownStream>
    let route: UnsafeMutablePointer<TransportRoute>

    init(_ profile: SRTPProfile, number: UInt32, isVideo: Bool, address: NetworkAddress) throws {
        let keying = SRTPKeyingMaterial(profile: profile) { (bytes) throws(Never) in
            for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index &+ Int(number)) }
        }
        session = try SRTPSession(keying: keying, localRole: .server)
        stream = .allocate(capacity: 1)
        stream.initialize(
            to: DownStream(
                ssrc: number, rtxSSRC: 0, isVideo: isVideo, clockRate: isVideo ? 90_000 : 48_000, firstSequence: 1,
                firstTimestamp: 1))
        stream.pointee.isFlowing = true
        stream.pointee.negotiated(payloadType: 96, rtxPayloadType: 0, descriptorID: 0)
        route = .allocate(capacity: 1)
        // Nothing on this path asks for the owner.
        let nobody = UnsafeRawPointer(route)
        route.initialize(to: TransportRoute(owner: .fromOpaque(nobody), lane: 0, streamCapacity: 1, at: .zero))
        route.pointee.sender = session.sender
        route.pointee.canSendMedia = true
        route.pointee.address = address
    }

    func release() {
        route.deinitialize(count: 1)
        route.deallocate()
        stream.pointee.release()
        stream.deallocate()
    }
}
