// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

@testable import FocusSFU
import FuzzInput

/// One RTCP datagram; every packet of it is read as what it says it is, and what can be written is written again.
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzRTCP(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    var input = FuzzInput(start, count)
    let datagram = input.remainder()
    guard let compound = try? RTCPCompound(datagram) else { return 0 }
    var writer = ByteWriter()
    for packet in compound { read(packet, writingInto: &writer) }
    guard writer.count > 0 else { return 0 }
    let isReadBack = writer.bytes.withUnsafeBytes { (try? RTCPCompound($0)) != nil }
    precondition(isReadBack, "a datagram of ours that we refuse")
    return 0
}

private func read(_ packet: RTCPPacket, writingInto writer: inout ByteWriter) {
    switch packet.kind {
    case .senderReport:
        guard let report = try? SenderReport(reading: packet) else { return }
        for block in report.reportBlocks { _ = block.roundTrip(at: 0x1234_5678) }
        report.write(into: &writer)
    case .receiverReport:
        guard let report = try? ReceiverReport(reading: packet) else { return }
        for block in report.reportBlocks { _ = block.roundTrip(at: 0) }
        report.write(into: &writer)
    case .sourceDescription:
        (try? SourceDescription(reading: packet))?.write(into: &writer)
    case .goodbye:
        (try? Goodbye(reading: packet))?.write(into: &writer)
    case .genericNACK:
        guard let nack = try? GenericNACK(reading: packet) else { return }
        var requested = 0
        for _ in nack { requested += 1 }
        precondition(requested <= 17 * packet.body.count / 4, "more numbers than the packet can name")
    case .pictureLossIndication:
        (try? PictureLossIndication(reading: packet))?.write(into: &writer)
    case .fullIntraRequest:
        (try? FullIntraRequest(reading: packet))?.write(into: &writer)
    case .applicationFeedback:
        (try? ReceiverEstimatedMaxBitrate(reading: packet))?.write(into: &writer)
    case .extendedReport:
        (try? ExtendedReport(reading: packet))?.write(into: &writer)
    case .transportFeedback, .other:
        return
    }
}
