// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One subscription that is (or will be) carried on the subscriber's downstream transport.
final class DownTrack {
    let track: PublishedTrack
    unowned let subscriber: Participant
    /// Section of the downstream transport; nil until one is assigned.
    var mid: String?
    /// The subscriber took the section in its last description.
    private(set) var isNegotiated = false
    let stream: UnsafeMutablePointer<DownStream>

    /// What the client asked for with track settings.
    var isDisabled = false
    var wantedLayer: Int8
    private var isRouted = false
    var nextReport = MonotonicTime.zero
    var hasReported = false
    private var reportProgress = ReportProgress()

    init(track: PublishedTrack, subscriber: Participant) {
        self.track = track
        self.subscriber = subscriber
        let isVideo = track.isVideo
        // From the beginning of a cache line: what a packet touches of it are three.
        stream = UnsafeMutableRawPointer.allocate(byteCount: MemoryLayout<DownStream>.size, alignment: 64)
            .bindMemory(to: DownStream.self, capacity: 1)
        stream.initialize(
            to: DownStream(
                ssrc: Random.uint32() | 1, rtxSSRC: isVideo ? Random.uint32() | 1 : 0, isVideo: isVideo,
                clockRate: track.codec?.clockRate ?? (isVideo ? 90_000 : 48_000),
                firstSequence: UInt16(truncatingIfNeeded: Random.uint32()), firstTimestamp: Random.uint32()))
        // An adaptive client starts small and says what it shows; others get the best at once.
        wantedLayer = subscriber.adaptiveStream ? 0 : track.layer(for: .high)
        stream.pointee.targetLayer = wantedLayer
    }

    deinit {
        stream.pointee.release()
        UnsafeMutableRawPointer(stream).deallocate()
    }

    /// How many packets of the stream a report of the subscriber's is about; none, if of those repeated in another.
    func takePackets(of block: ReportBlock) -> UInt32 {
        block.ssrc == stream.pointee.ssrc ? reportProgress.advance(to: block.highestSequence) : 0
    }

    /// The section's SDP description of what we send.
    var outgoing: OutgoingTrack? {
        guard let codec = track.codec else { return nil }
        let name = "\(track.publisher.sid)|\(track.sid)"
        return OutgoingTrack(
            msid: MediaStreamIdentifier(stream: name, track: track.sid), ssrc: stream.pointee.ssrc,
            rtxSSRC: track.isVideo ? stream.pointee.rtxSSRC : nil, codec: codec.codec, cname: name,
            isStereo: track.info.audioFeatures.contains(.tfStereo),
            hasDependencyDescriptor: track.hasDependencyDescriptor)
    }

    /// The subscriber's description fixes payload types and extension ids, or refuses the section.
    func negotiated(_ section: NegotiatedSection) {
        guard section.direction == .sendonly || section.direction == .sendrecv, let codec = section.codecs.first
        else {
            isNegotiated = false
            return updateFlow()
        }
        stream.pointee.negotiated(
            payloadType: codec.payloadType, rtxPayloadType: codec.rtxPayloadType ?? 0,
            descriptorID: section.extensions.dependencyDescriptor)
        isNegotiated = true
        updateFlow()
    }

    /// What the client said of the track, now or before it was subscribed to it.
    func apply(_ settings: SubscriptionWishes.Settings) {
        wantedLayer =
            settings.width > 0 && settings.height > 0
            ? track.layer(width: settings.width, height: settings.height) : track.layer(for: settings.quality)
        if stream.pointee.currentLayer < 0 { stream.pointee.targetLayer = wantedLayer }
        isDisabled = settings.isDisabled
        updateFlow()
    }

    /// The client took its section away; nothing flows until it has another.
    func lostSection() {
        mid = nil
        isNegotiated = false
        updateFlow()
    }

    /// Starts or stops forwarding after anything it depends on has changed.
    func updateFlow() {
        let transport = subscriber.downstream
        let shouldFlow =
            isNegotiated && !isDisabled && transport.route.pointee.canSendMedia && track.isFlowing
            && !(track.isVideo && subscriber.holdsPictures)
        if isNegotiated, transport.route.pointee.canSendMedia, !isRouted {
            track.route.pointee.add(
                .init(stream: stream, transport: transport.route, lane: transport.route.pointee.lane))
            isRouted = true
        }
        guard shouldFlow != stream.pointee.isFlowing else { return }
        stream.pointee.isFlowing = shouldFlow
        if shouldFlow {
            stream.pointee.detachSource()
            track.keyFrameWantedSince = subscriber.room.plane.now
            subscriber.room.plane.requestKeyFrame(of: track, layer: stream.pointee.targetLayer)
        }
    }

    /// Takes the stream out of the packet path; afterwards the object may go.
    func detach() {
        if isRouted { track.route.pointee.remove(stream) }
        isRouted = false
        stream.pointee.isFlowing = false
        track.remove(self)
    }
}
