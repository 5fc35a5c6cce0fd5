// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CDatagramIO
import CHotLoop
@testable import FocusSFU

/// Admission, header, encryption and the note of the datagram for a hundred subscribers, without the system call,
/// beside the same loop in C, which has no admission: no layers, no window of what was sent, no statistics.
enum HotLoop {
    private static let subscriberCount = 100
    private static let payloadLength = 1_200
    private static let packets = 1_000
    private static let rounds = 7
    private static let slotCount: UInt32 = 128
    private static let slotCapacity: UInt32 = 2_048
    /// Changed only in a commit that says why.
    private static let threshold = 1.10

    static func compareWithC() throws -> Bool {
        var subscribers: [Subscriber] = []
        for number in 0..<subscriberCount {
            subscribers.append(
                try Subscriber(.aeadAes128Gcm, number: UInt32(number), isVideo: true, address: .unspecified))
        }
        defer { for subscriber in subscribers { subscriber.release() } }
        guard let reference = CHotLoop_create(UInt32(subscriberCount)) else {
            report("hot loop", "not measured: no AES-128-GCM")
            return false
        }
        defer { CHotLoop_destroy(reference) }
        let payload = [UInt8](repeating: 0x5A, count: payloadLength)
        guard let batch = CDatagramIO_batch_create(slotCount, slotCapacity) else { return false }
        defer { CDatagramIO_batch_destroy(batch) }
        var ours: [Double] = []
        var theirs: [Double] = []
        var sequence: Int64 = 0
        // In turns, so that both meet the same noise; the first round warms up.
        for round in 0...rounds {
            let beganOurs = processorTime()
            payload.withUnsafeBytes { payload in
                subscribers.withUnsafeBufferPointer { run($0, payload, batch: batch, sequence: &sequence) }
            }
            let beganTheirs = processorTime()
            let succeeded = CHotLoop_run(reference, UInt32(packets), payload, UInt32(payloadLength)) == 1
            let ended = processorTime()
            guard succeeded else { return false }
            guard round > 0 else { continue }
            ours.append(Double(beganTheirs - beganOurs) / Double(packets * subscriberCount))
            theirs.append(Double(ended - beganTheirs) / Double(packets * subscriberCount))
        }
        let ratio = median(zip(ours, theirs).map { $0 / $1 })
        let holds = ratio <= threshold
        let percent = Int((ratio * 100).rounded())
        report(
            "hot loop 1→100, 1200 B, AES-GCM",
            "\(Int(median(ours))) ns, in C \(Int(median(theirs))) ns: \(percent) % (at most \(Int(threshold * 100)) %)"
                + (holds ? "" : "  OVER")
        )
        return holds
    }

    private static func run(
        _ subscribers: UnsafeBufferPointer<Subscriber>, _ payload: UnsafeRawBufferPointer,
        batch: UnsafeMutablePointer<CDatagramIO_batch>, sequence: inout Int64
    ) {
        guard let source = payload.baseAddress else { return }
        var used = 0
        for _ in 0..<packets {
            let packet = ReceivedPacket(
                extended: sequence, timestamp: UInt32(truncatingIfNeeded: sequence &* 3_000), marker: false,
                isKeyFrame: sequence == 0, isOfKeyFrame: sequence == 0, layer: 0,
                descriptor: UnsafeRawBufferPointer(start: nil, count: 0),
                payload: payload)
            let now = MonotonicTime(nanoseconds: UInt64(sequence) * 1_000_000)
            sequence += 1
            for subscriber in subscribers {
                let stream = subscriber.stream
                guard let sender = subscriber.route.pointee.sender,
                    let numbers = stream.pointee.admit(packet, at: now)
                else { preconditionFailure("the packet was left out") }
                let target = UnsafeMutableRawPointer(batch.pointee.memory + used * Int(slotCapacity))
                let headerLength = PacketWriter.writeHeader(
                    into: target, payloadType: stream.pointee.payloadType, marker: packet.marker,
                    sequence: numbers.sequence, timestamp: numbers.timestamp, ssrc: stream.pointee.ssrc,
                    extensionID: 0, extensionValue: packet.descriptor)
                let length = sender.protect(
                    header: target, headerLength: headerLength, payload: source, payloadLength: payload.count,
                    into: target, capacity: Int(slotCapacity), state: &stream.pointee.srtp)
                precondition(length > payload.count, "the packet was refused")
                stream.pointee.countSent(payloadLength: payload.count)
                let address = subscriber.route.pointee.address
                let datagram = batch.pointee.datagrams + used
                datagram.pointee.high = address.high
                datagram.pointee.low = address.low
                datagram.pointee.port = address.port
                datagram.pointee.length = UInt32(length)
                used = (used + 1) % Int(slotCount)
            }
        }
    }
}
