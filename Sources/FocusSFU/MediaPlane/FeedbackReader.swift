// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// RTCP from clients: reports, retransmission and key frame requests.
///
/// | packet | from a publisher | from a subscriber |
/// |---|---|---|
/// | SR | keeps the stream's clock | – |
/// | RR | – | round trip, loss for the connection quality |
/// | NACK | – | answered from the cache |
/// | PLI, FIR | – | passed on to the publisher, throttled |
/// | XR RRTR | answered with DLRR | answered with DLRR |
/// | others | ignored | ignored |
enum FeedbackReader {
    /// Streams that one datagram may name; finding each costs a look at all.
    private static let streamsOfDatagram = 64

    /// What one datagram may still ask for: it could name hundreds of streams, and ask for as many answers.
    private struct Allowance {
        private var streams = streamsOfDatagram
        private var answers = 1

        mutating func takeStream() -> Bool {
            streams -= 1
            return streams >= 0
        }

        mutating func takeAnswer() -> Bool {
            answers -= 1
            return answers >= 0
        }
    }

    static func read(_ datagram: UnsafeRawBufferPointer, from transport: PeerTransport, plane: MediaPlane) {
        let compound: RTCPCompound
        do {
            compound = try RTCPCompound(datagram)
        } catch {
            return plane.count(.rtcpMalformed)
        }
        var allowance = Allowance()
        for packet in compound {
            do {
                try read(packet, from: transport, plane: plane, &allowance)
            } catch {
                plane.count(.rtcpMalformed)
            }
        }
    }

    private static func read(
        _ packet: RTCPPacket, from transport: PeerTransport, plane: MediaPlane, _ allowance: inout Allowance
    ) throws(RTCPError) {
        let now = plane.now
        switch packet.kind {
        case .senderReport:
            let report = try SenderReport(reading: packet)
            if let stream = transport.route.pointee.stream(ssrc: report.ssrc) {
                stream.pointee.statistics.senderReportReceived(ntp: report.ntp, at: now)
                stream.pointee.clock.senderReportReceived(
                    ntp: report.ntp, rtpTimestamp: report.rtpTimestamp, at: now)
            } else {
                plane.count(.rtcpUnknownStream)
            }
            transport.note(report.reportBlocks, at: now)
        case .receiverReport:
            transport.note(try ReceiverReport(reading: packet).reportBlocks, at: now)
        case .genericNACK:
            let request = try GenericNACK(reading: packet)
            guard allowance.takeStream() else { return plane.count(.rtcpTooMuch) }
            guard let downTrack = transport.downTrack(ssrc: request.media) else {
                return plane.count(.rtcpUnknownStream)
            }
            for sequence in request { plane.resend(sequence, of: downTrack, on: transport) }
        case .pictureLossIndication:
            let request = try PictureLossIndication(reading: packet)
            guard allowance.takeStream() else { return plane.count(.rtcpTooMuch) }
            requestKeyFrame(ssrc: request.media, from: transport, plane: plane)
        case .fullIntraRequest:
            for entry in try FullIntraRequest(reading: packet).entries {
                guard allowance.takeStream() else { return plane.count(.rtcpTooMuch) }
                requestKeyFrame(ssrc: entry.ssrc, from: transport, plane: plane)
            }
        case .extendedReport:
            let report = try ExtendedReport(reading: packet)
            guard let reference = report.receiverReferenceTime else { return }
            guard allowance.takeAnswer() else { return plane.count(.rtcpTooMuch) }
            // The delay is that of this turn, which is no time at all.
            var writer = ByteWriter()
            ReceiverReport(ssrc: FeedbackWriter.ssrc, reportBlocks: []).write(into: &writer)
            ExtendedReport(
                sender: FeedbackWriter.ssrc,
                delays: [
                    .init(ssrc: report.sender, lastReference: UInt32(truncatingIfNeeded: reference >> 16), delay: 0)
                ]
            ).write(into: &writer)
            plane.sendRTCP(writer, to: transport.route)
        case .goodbye, .sourceDescription, .transportFeedback, .applicationFeedback, .other:
            break
        }
    }

    private static func requestKeyFrame(ssrc: UInt32, from transport: PeerTransport, plane: MediaPlane) {
        guard let downTrack = transport.downTrack(ssrc: ssrc) else { return plane.count(.rtcpUnknownStream) }
        let layer = downTrack.stream.pointee.currentLayer
        plane.requestKeyFrame(of: downTrack.track, layer: layer >= 0 ? layer : downTrack.stream.pointee.targetLayer)
    }
}
