// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One track of a publisher: its public description and the streams (layers) that carry it.
final class PublishedTrack {
    let sid: String
    unowned let publisher: Participant
    var info: LiveKitTrackInfo
    /// Client id announced in AddTrack, matched with the SDP's msid.
    let cid: String
    /// The section of the publisher's transport that carries it; nil until an offer names it.
    var mid: String?
    var codec: NegotiatedCodec?
    var hasDependencyDescriptor = false
    let route: UnsafeMutablePointer<TrackRoute>
    /// Media streams by layer, lowest first; filled as their first packets arrive.
    private(set) var layers: [Int8: UnsafeMutablePointer<ReceiveStream>] = [:]
    private(set) var downTracks: [DownTrack] = []
    /// Muted because its publisher lost the right to publish, and to go on when the right comes back.
    var isSilenced = false
    /// Key frames are asked for until one came; then only on demand.
    var keyFrameWantedSince: MonotonicTime?
    var nextCodecChange = MonotonicTime.zero

    init(sid: String, publisher: Participant, cid: String, info: LiveKitTrackInfo) {
        self.sid = sid
        self.publisher = publisher
        self.cid = cid
        self.info = info
        route = .allocate(capacity: 1)
        route.initialize(to: TrackRoute(isVideo: info.type == .video))
    }

    deinit {
        route.pointee.release()
        route.deallocate()
    }

    var isVideo: Bool { info.type == .video }

    /// Announced to others from the moment signalling and SDP agree, muted or not; media may follow later.
    var isPublished: Bool { mid != nil }

    /// Its packets go to subscribers, and count for who speaks.
    var isFlowing: Bool { !info.muted && publisher.permission.canPublish }

    /// Starts or stops forwarding after anything it depends on at the publisher has changed.
    func updateFlow() {
        if !isVideo {
            route.pointee.speakerNumber = publisher.speakerNumber
            route.pointee.speakers = isFlowing ? publisher.room.speakers : nil
        }
        for downTrack in downTracks { downTrack.updateFlow() }
    }

    /// Its media is of this codec; the next announcement says so.
    func use(_ codec: NegotiatedCodec?) {
        self.codec = codec
        guard let codec else { return }
        info.mimeType = codec.name.mimeType
        if !info.codecs.isEmpty { info.codecs[0].mimeType = codec.name.mimeType }
    }

    func attach(_ stream: UnsafeMutablePointer<ReceiveStream>) {
        // A section may have carried the other kind before.
        guard stream.pointee.isVideo == isVideo else { return }
        if let previous = layers[stream.pointee.layer], previous != stream {
            // The client began the layer anew under another SSRC: its numbers have nothing to do with the old ones.
            previous.pointee.route = nil
            for downTrack in downTracks { downTrack.stream.pointee.sourceBegan(stream.pointee.layer) }
            keyFrameWantedSince = isVideo ? stream.pointee.lastPacketAt : nil
        }
        layers[stream.pointee.layer] = stream
        stream.pointee.route = route
    }

    /// Cuts the streams off, before they or the track go away.
    func detachStreams() {
        for stream in layers.values { stream.pointee.route = nil }
        layers.removeAll()
    }

    /// Cuts these off, should they be of this track.
    func detach(_ streams: Set<UnsafeMutablePointer<ReceiveStream>>) {
        for (layer, stream) in layers where streams.contains(stream) {
            stream.pointee.route = nil
            layers[layer] = nil
        }
    }

    func add(_ downTrack: DownTrack) {
        downTracks.append(downTrack)
    }

    func remove(_ downTrack: DownTrack) {
        downTracks.removeAll { $0 === downTrack }
    }

    /// The highest layer with recent packets that is not above `wanted`; otherwise the lowest live one. None while
    /// nothing comes: the pause may end with any of them.
    ///
    /// A layer is live while a packet came within ``liveMilliseconds``: publishers switch upper layers off when their
    /// uplink narrows.
    func bestLayer(upTo wanted: Int8, at now: MonotonicTime) -> Int8? {
        let live = layers.filter { now.milliseconds(since: $0.value.pointee.lastPacketAt) < Self.liveMilliseconds }.keys
        return live.filter { $0 <= wanted }.max() ?? live.min()
    }

    static let liveMilliseconds: UInt64 = 1_500

    /// The lowest layer that shows at least the given quality, by what the publisher announced.
    func layer(for quality: LiveKitVideoQuality) -> Int8 {
        let announced = info.layers.map(\.quality.rawValue).sorted()
        let index = announced.firstIndex { $0 >= quality.rawValue } ?? announced.count - 1
        return Int8(clamping: max(0, index))
    }

    /// The smallest published layer that covers an element of this size.
    func layer(width: UInt32, height: UInt32) -> Int8 {
        let sorted = info.layers.sorted { $0.quality.rawValue < $1.quality.rawValue }
        for (index, layer) in sorted.enumerated() where layer.width >= width && layer.height >= height {
            return Int8(clamping: index)
        }
        return Int8(clamping: max(0, sorted.count - 1))
    }
}
