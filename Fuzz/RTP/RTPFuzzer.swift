// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

@testable import FocusSFU
import FuzzInput

/// One RTP packet: header, every extension element read as every known type, and the payload by every codec.
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzRTP(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    var input = FuzzInput(start, count)
    let packet = input.remainder()
    guard let header = try? RTPHeader(reading: packet) else { return 0 }
    let payload = header.payload(of: packet)
    precondition(
        header.payloadOffset + header.payloadByteCount + header.paddingByteCount == packet.count,
        "parts that do not add up to the packet")
    for element in HeaderExtensions(of: packet, header: header) {
        let value = UnsafeRawBufferPointer(rebasing: packet[element.range])
        _ = try? AbsSendTime(reading: value)
        _ = try? AudioLevel(reading: value)
        _ = try? DependencyDescriptor(reading: value)
        _ = try? MediaID(reading: value)
        _ = try? RTPStreamID(reading: value)
        _ = try? RepairedRTPStreamID(reading: value)
        _ = try? TransportSequenceNumber(reading: value)
    }
    for codec in VideoCodec.allCases {
        _ = codec.isKeyFrame(payload)
        _ = codec.startsFrame(payload)
    }
    if let descriptor = try? VP8Descriptor(reading: payload) {
        precondition(descriptor.byteCount <= payload.count, "a descriptor longer than its payload")
    }
    _ = try? VP9Descriptor(reading: payload)
    _ = try? H264Payload(reading: payload)
    _ = try? AV1AggregationHeader(reading: payload)
    restoreRetransmission(packet, header)
    return 0
}

/// Takes the packet for a retransmission and restores the original, then writes a retransmission of the packet.
private func restoreRetransmission(_ packet: UnsafeRawBufferPointer, _ header: RTPHeader) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: packet.count, alignment: 1)
    let larger = UnsafeMutableRawBufferPointer.allocate(
        byteCount: packet.count + RTX.overheadByteCount, alignment: 1)
    defer {
        copy.deallocate()
        larger.deallocate()
    }
    copy.copyMemory(from: packet)
    if let original = try? RTX.restore(copy, header: header, ssrc: 1, payloadType: 96) {
        _ = try? RTPHeader(reading: UnsafeRawBufferPointer(original))
    }
    let length = RTX.write(packet, header: header, ssrc: 2, payloadType: 97, sequence: 3, into: larger)
    precondition(length != nil, "a retransmission that does not fit")
}
