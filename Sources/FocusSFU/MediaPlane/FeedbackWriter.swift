// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// RTCP that the focus originates: reports, retransmission requests, key frame requests, transport feedback.
///
/// To publishers: receiver reports each second, NACK, PLI, transport-wide feedback. To subscribers: sender reports in
/// the publisher's own clock, with SDES, so that sound and picture of one participant stay together.
enum FeedbackWriter {
    static let reportIntervalMilliseconds: UInt64 = 1_000
    static let senderReportIntervalMilliseconds: UInt64 = 3_000
    /// Between two looks at which sender reports are due: a large room has thousands of streams.
    static let senderReportRoundMilliseconds: UInt64 = 200
    private static let maximumChunks = 12
    /// The SSRC our RTCP comes from; receivers only ask that it be no media SSRC.
    static let ssrc: UInt32 = 1
    /// A PLI is asked for again after this long without a key frame.
    static let keyFrameRetryMilliseconds: UInt64 = 1_000

    /// What is due on the streams a transport receives.
    static func advance(_ transport: PeerTransport, at now: MonotonicTime, reportsDue: Bool) {
        let route = transport.route
        var writer = ByteWriter()
        let blocks = reportsDue ? reportBlocks(of: transport, at: now) : []
        let roundTrip = transport.roundTripMilliseconds
        for index in 0..<route.pointee.streamCount {
            let stream = route.pointee.stream(at: index)
            guard stream.pointee.repaired == nil else { continue }
            requestMissing(of: stream, roundTrip: roundTrip, at: now, into: &writer)
            if stream.pointee.nack.takeKeyFrameWish(), stream.pointee.isVideo {
                requestKeyFrame(of: stream, at: now, into: &writer)
            }
            if stream.pointee.keyFrameThrottle.advance(to: now) {
                PictureLossIndication(sender: ssrc, media: stream.pointee.ssrc).write(into: &writer)
            }
        }
        if !blocks.isEmpty || writer.count > 0 {
            // A compound begins with a report, even an empty one (RFC 3550 §6.1).
            var compound = ByteWriter()
            ReceiverReport(ssrc: ssrc, reportBlocks: blocks).write(into: &compound)
            compound.write(contentsOf: writer.bytes)
            transport.plane.sendRTCP(compound, to: route)
        }
    }

    /// A report holds ``ReportBlock/limit`` of them; the next one goes on where it ends.
    private static func reportBlocks(of transport: PeerTransport, at now: MonotonicTime) -> [ReportBlock] {
        let route = transport.route
        let count = route.pointee.streamCount
        var blocks: [ReportBlock] = []
        var index = transport.nextReportedStream
        for _ in 0..<count where blocks.count < ReportBlock.limit {
            if index >= count { index = 0 }
            let stream = route.pointee.stream(at: index)
            index += 1
            guard let block = stream.pointee.statistics.makeReportBlock(ssrc: stream.pointee.ssrc, at: now) else {
                continue
            }
            blocks.append(block)
            transport.participant?.quality.noteLoss(
                block.fractionLost, of: stream.pointee.statistics.expectedLately)
        }
        transport.nextReportedStream = index
        return blocks
    }

    private static func requestMissing(
        of stream: UnsafeMutablePointer<ReceiveStream>, roundTrip: UInt64, at now: MonotonicTime,
        into writer: inout ByteWriter
    ) {
        guard stream.pointee.nack.missingCount > 0 else { return }
        withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 64) { buffer in
            buffer.initialize(repeating: 0)
            // Who takes no requests is not sent any, but what is missing has to grow old all the same.
            let count = stream.pointee.nack.nextRequests(at: now, roundTripMilliseconds: roundTrip, into: buffer)
            guard stream.pointee.acceptsNACK else { return }
            GenericNACK.write(
                sender: ssrc, media: stream.pointee.ssrc, missing: buffer[..<count], into: &writer)
        }
    }

    private static func requestKeyFrame(
        of stream: UnsafeMutablePointer<ReceiveStream>, at now: MonotonicTime, into writer: inout ByteWriter
    ) {
        guard stream.pointee.keyFrameThrottle.keyFrameWanted(at: now) else { return }
        PictureLossIndication(sender: ssrc, media: stream.pointee.ssrc).write(into: &writer)
    }

    /// Asks the publisher for a key frame of one stream now, unless it was asked a moment ago.
    static func sendKeyFrameRequest(of stream: UnsafeMutablePointer<ReceiveStream>, on transport: PeerTransport) {
        var writer = ByteWriter()
        requestKeyFrame(of: stream, at: transport.plane.now, into: &writer)
        transport.plane.sendRTCP(writer, to: transport.route)
    }

    static func sendTransportFeedback(
        _ route: UnsafeMutablePointer<TransportRoute>, media: UInt32, plane: MediaPlane
    ) {
        var writer = ByteWriter(reservingCapacity: 256)
        route.pointee.feedback.writeFeedback(sender: ssrc, media: media, at: plane.now, into: &writer)
        plane.sendRTCP(writer, to: route)
    }

    /// Sender reports for the tracks a participant receives, those whose time has come and one packet holds.
    ///
    /// - Returns: whether there may be more.
    static func sendSenderReports(
        of downTracks: [DownTrack], on transport: PeerTransport, at now: MonotonicTime
    ) -> Bool {
        guard transport.route.pointee.canSendMedia else { return false }
        var writer = ByteWriter()
        var chunks: [SourceDescription.Chunk] = []
        for downTrack in downTracks where now >= downTrack.nextReport && downTrack.stream.pointee.hasSent {
            guard let source = downTrack.track.layers[downTrack.stream.pointee.currentLayer],
                let times = source.pointee.clock.timestamps(at: now)
            else { continue }
            // Soon again at first: players align sound and picture only after the first report of both.
            downTrack.nextReport = now.advanced(
                byMilliseconds: downTrack.hasReported ? senderReportIntervalMilliseconds : 500)
            downTrack.hasReported = true
            SenderReport(
                ssrc: downTrack.stream.pointee.ssrc, ntp: times.ntp,
                rtpTimestamp: downTrack.stream.pointee.rewritten(timestamp: times.rtpTimestamp),
                packetCount: downTrack.stream.pointee.packetsSent, octetCount: downTrack.stream.pointee.octetsSent,
                reportBlocks: []
            ).write(into: &writer)
            chunks.append(
                .init(
                    ssrc: downTrack.stream.pointee.ssrc,
                    canonicalName: "\(downTrack.track.publisher.sid)|\(downTrack.track.sid)"))
            if chunks.count == maximumChunks { break }
        }
        guard !chunks.isEmpty else { return false }
        SourceDescription(chunks: chunks).write(into: &writer)
        transport.plane.sendRTCP(writer, to: transport.route)
        return chunks.count == maximumChunks
    }
}
