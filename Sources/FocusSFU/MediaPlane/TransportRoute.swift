// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The part of a ``PeerTransport`` that packets touch: one plain struct at a fixed address.
package struct TransportRoute: ~Copyable {
    /// The object this belongs to; it outlives the struct, which it owns.
    let owner: Unmanaged<PeerTransport>
    /// The share of a ``SharedTurn`` that this transport is in, below ``SharedTurn/laneCount``.
    let lane: UInt8
    /// Where the peer is, as ICE selected it.
    var address = NetworkAddress.unspecified
    /// Our address on that path.
    var local = NetworkAddress.unspecified
    /// A path is selected and the SRTP keys are there.
    package internal(set) var canSendMedia = false
    var sender: SRTPSender?
    var receiver: SRTPReceiver?
    var feedback = TransportFeedbackGenerator()
    /// The last datagram that was authentic: check, DTLS record or media.
    var lastReceivedAt: MonotonicTime

    private let ssrcs: UnsafeMutablePointer<UInt32>
    private let streams: UnsafeMutablePointer<UnsafeMutablePointer<ReceiveStream>>
    private(set) var streamCount = 0
    private let streamCapacity: Int
    private var lastIndex = 0

    init(owner: Unmanaged<PeerTransport>, lane: UInt8, streamCapacity: Int, at now: MonotonicTime) {
        self.owner = owner
        self.lane = lane
        self.streamCapacity = streamCapacity
        lastReceivedAt = now
        ssrcs = .allocate(capacity: streamCapacity)
        streams = .allocate(capacity: streamCapacity)
    }

    deinit {
        for index in 0..<streamCount {
            streams[index].deinitialize(count: 1)
            streams[index].deallocate()
        }
        ssrcs.deallocate()
        streams.deallocate()
    }

    /// The stream of an SSRC. Packets come in runs, so the last one found is tried first; the rest is a short scan.
    @inline(__always)
    mutating func stream(ssrc: UInt32) -> UnsafeMutablePointer<ReceiveStream>? {
        if lastIndex < streamCount, ssrcs[lastIndex] == ssrc { return streams[lastIndex] }
        for index in 0..<streamCount where ssrcs[index] == ssrc {
            lastIndex = index
            return streams[index]
        }
        return nil
    }

    var hasRoomForStream: Bool { streamCount < streamCapacity }

    mutating func add(_ stream: UnsafeMutablePointer<ReceiveStream>) {
        guard hasRoomForStream else { return }
        (ssrcs + streamCount).initialize(to: stream.pointee.ssrc)
        (streams + streamCount).initialize(to: stream)
        streamCount += 1
    }

    func stream(at index: Int) -> UnsafeMutablePointer<ReceiveStream> {
        streams[index]
    }

    /// Frees the streams for which `isStale` says so, making room for others.
    mutating func removeStreams(where isStale: (UnsafeMutablePointer<ReceiveStream>) -> Bool) {
        var kept = 0
        for index in 0..<streamCount {
            let stream = streams[index]
            if isStale(stream) {
                stream.deinitialize(count: 1)
                stream.deallocate()
            } else {
                ssrcs[kept] = ssrcs[index]
                streams[kept] = stream
                kept += 1
            }
        }
        streamCount = kept
        lastIndex = 0
    }
}
