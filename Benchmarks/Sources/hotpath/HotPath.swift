// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CAllocationCount
@testable import FocusSFU
import Glibc

/// What one forwarded packet costs for each of a hundred subscribers: admission, header, protection. No socket.
///
///     CALLBRIDGE_BENCHMARKS=1 swift build -c release --scratch-path .build/benchmarks --product hotpath \
///         -Xswiftc -enable-testing && .build/benchmarks/release/hotpath
///
/// Prints a line for each SRTP profile and exits with 1 when anything was allocated after the first packets. The times
/// are for comparison on one machine; calls into the target that a build of the product inlines are real calls here.
@main
enum HotPath {
    private static let subscriberCount = 100
    private static let warmUpPackets = 200
    private static let packetCount = 2_000
    private static let payloadLength = 1_100
    private static let slotLength = 1_500

    static func main() throws {
        var allocated = false
        for profile in SRTPProfile.allCases {
            let result = try measure(profile)
            let sent = packetCount * subscriberCount
            let nanoseconds = result.nanoseconds / UInt64(sent)
            print("\(profile): \(nanoseconds) ns a packet sent, \(result.allocations) allocations for \(sent) packets")
            allocated = allocated || result.allocations > 0
        }
        exit(allocated ? 1 : 0)
    }

    private static func measure(_ profile: SRTPProfile) throws -> (nanoseconds: UInt64, allocations: UInt) {
        var subscribers: [Subscriber] = []
        for number in 0..<subscriberCount { subscribers.append(try Subscriber(profile, number: UInt32(number))) }
        let payload = UnsafeMutableRawBufferPointer.allocate(byteCount: payloadLength, alignment: 16)
        let slot = UnsafeMutableRawBufferPointer.allocate(byteCount: slotLength, alignment: 16)
        payload.initializeMemory(as: UInt8.self, repeating: 0x5A)
        defer {
            payload.deallocate()
            slot.deallocate()
            for subscriber in subscribers { subscriber.stream.release() }
        }
        guard let target = slot.baseAddress else { return (0, 0) }
        return subscribers.withUnsafeMutableBufferPointer { subscribers in
            var began = now()
            var allocationsBefore = CAllocationCount_now()
            for number in 0..<(warmUpPackets + packetCount) {
                if number == warmUpPackets {
                    began = now()
                    allocationsBefore = CAllocationCount_now()
                }
                forward(number, UnsafeRawBufferPointer(payload), to: subscribers, slot: target)
            }
            return (now() - began, UInt(CAllocationCount_now() - allocationsBefore))
        }
    }

    private static func forward(
        _ number: Int,
        _ payload: UnsafeRawBufferPointer,
        to subscribers: UnsafeMutableBufferPointer<Subscriber>,
        slot: UnsafeMutableRawPointer
    ) {
        guard let source = payload.baseAddress else { return }
        let time = MonotonicTime(nanoseconds: UInt64(number) * 1_000_000)
        let packet = ReceivedPacket(
            extended: Int64(number), timestamp: UInt32(number / 10 * 3_000), marker: number % 10 == 9,
            isKeyFrame: number == 0, layer: 0, descriptor: UnsafeRawBufferPointer(start: nil, count: 0),
            payload: payload)
        for index in subscribers.indices {
            guard let numbers = subscribers[index].stream.admit(packet, at: time) else { continue }
            let headerLength = PacketWriter.writeHeader(
                into: slot, payloadType: 96, marker: packet.marker, sequence: numbers.sequence,
                timestamp: numbers.timestamp, ssrc: subscribers[index].stream.ssrc, extensionID: 0,
                extensionValue: packet.descriptor)
            let length = subscribers[index].sender.protect(
                header: slot, headerLength: headerLength, payload: source, payloadLength: payload.count, into: slot,
                capacity: slotLength, state: &subscribers[index].stream.srtp)
            precondition(length > payload.count, "the packet was refused")
            subscribers[index].stream.countSent(payloadLength: payload.count)
        }
    }

    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// One that receives the packets, with keys of its own.
private struct Subscriber {
    let session: SRTPSession
    let sender: SRTPSender
    var stream: DownStream

    init(_ profile: SRTPProfile, number: UInt32) throws {
        let keying = SRTPKeyingMaterial(profile: profile) { (bytes) throws(Never) in
            for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index &+ Int(number)) }
        }
        session = try SRTPSession(keying: keying, localRole: .server)
        sender = session.sender
        stream = DownStream(
            ssrc: number, rtxSSRC: 0, isVideo: true, clockRate: 90_000, firstSequence: 1, firstTimestamp: 1)
        stream.isFlowing = true
    }
}
