// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The media of one read batch in the clear, and the tracks it belongs to. Plain memory of one worker, filled by its
/// receiving side and emptied by ``forget()`` once it has been forwarded.
struct Turn {
    static let capacity = MediaPlane.batchCount

    let packets: UnsafeMutablePointer<ReceivedPacket>
    private(set) var packetCount = 0
    private let tracks: UnsafeMutablePointer<UnsafeMutablePointer<TrackRoute>>
    private(set) var trackCount = 0
    /// How many were before it.
    private(set) var number = 0
    /// When the batch was read.
    var time = MonotonicTime.zero

    init() {
        packets = .allocate(capacity: Self.capacity)
        tracks = .allocate(capacity: Self.capacity)
    }

    func release() {
        packets.deallocate()
        tracks.deallocate()
    }

    var hasRoom: Bool { packetCount < Self.capacity }

    func track(at index: Int) -> UnsafeMutablePointer<TrackRoute> { tracks[index] }

    @inline(__always)
    mutating func add(_ packet: ReceivedPacket, of track: UnsafeMutablePointer<TrackRoute>) {
        (packets + packetCount).initialize(to: packet)
        if track.pointee.turnCount == 0 {
            (tracks + trackCount).initialize(to: track)
            trackCount += 1
        }
        track.pointee.turn[track.pointee.turnCount] = UInt16(packetCount)
        track.pointee.turnCount += 1
        packetCount += 1
    }

    /// Datagrams that this turn makes when every subscriber gets everything.
    var datagramCount: Int {
        var count = 0
        for index in 0..<trackCount {
            count += tracks[index].pointee.turnCount * tracks[index].pointee.subscriberCount
        }
        return count
    }

    @inline(__always)
    mutating func forget() {
        for index in 0..<trackCount { tracks[index].pointee.turnCount = 0 }
        trackCount = 0
        packetCount = 0
        number &+= 1
    }
}
