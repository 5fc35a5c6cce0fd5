// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Mending: packets sent again, key frames asked for.
extension MediaPlane {
    /// Answers one NACKed packet from the publisher stream's cache: on the RTX stream, or without one as it was.
    func resend(_ sequence: UInt16, of downTrack: DownTrack, on transport: PeerTransport) {
        let stream = downTrack.stream
        guard let sender = transport.route.pointee.sender, transport.route.pointee.canSendMedia,
            !(stream.pointee.isVideo && downTrack.subscriber.holdsPictures),
            let lost = stream.pointee.resend(
                sequence, roundTripMilliseconds: transport.roundTripMilliseconds, at: now),
            let source = downTrack.track.layers[lost.layer],
            let packet = source.pointee.cache.packet(lost.source),
            let payload = packet.payload.baseAddress
        else { return }
        let usesRTX = stream.pointee.rtxPayloadType != 0 && stream.pointee.rtxSSRC != 0
        // Before a number of the RTX stream is taken.
        let longest = PacketWriter.longestHeader(of: packet.descriptor) + RTX.overheadByteCount + packet.payload.count
        guard longest + SRTPProfile.maximumOverhead <= EgressBatch.slotCapacity else { return count(.tooLong) }
        let slot = egress.nextSlot()
        let headerLength = PacketWriter.writeHeader(
            into: slot, payloadType: usesRTX ? stream.pointee.rtxPayloadType : stream.pointee.payloadType,
            marker: packet.marker, sequence: usesRTX ? stream.pointee.nextRTXSequence() : sequence,
            timestamp: packet.timestamp &- lost.timestampOffset,
            ssrc: usesRTX ? stream.pointee.rtxSSRC : stream.pointee.ssrc,
            extensionID: stream.pointee.descriptorID, extensionValue: packet.descriptor)
        var length = headerLength
        if usesRTX {
            slot.storeBytes(of: sequence.bigEndian, toByteOffset: length, as: UInt16.self)
            length += RTX.overheadByteCount
        }
        (slot + length).copyMemory(from: payload, byteCount: packet.payload.count)
        length += packet.payload.count
        let protected =
            usesRTX
            ? sender.protect(
                packet: slot, length: length, capacity: EgressBatch.slotCapacity, state: &stream.pointee.rtxSRTP)
            : sender.protect(
                packet: slot, length: length, capacity: EgressBatch.slotCapacity, state: &stream.pointee.srtp)
        guard protected > 0 else { return count(.srtpMalformed) }
        egress.commit(
            length: protected, to: transport.route.pointee.address, from: transport.route.pointee.local,
            priority: stream.pointee.isVideo ? .video : .audio)
    }

    /// Asks a track's publisher for a key frame of a layer; of the lowest one there is when that layer is not sent.
    func requestKeyFrame(of track: PublishedTrack, layer: Int8) {
        guard track.isVideo, let stream = track.layers[layer] ?? track.layers.min(by: { $0.key < $1.key })?.value
        else { return }
        FeedbackWriter.sendKeyFrameRequest(of: stream, on: track.publisher.publisher)
    }
}
