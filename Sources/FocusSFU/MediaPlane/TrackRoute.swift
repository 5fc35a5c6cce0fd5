// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CDatagramIO

/// Where the packets of one published track go during a read batch.
package struct TrackRoute {
    /// Packets of this turn, as indexes into the worker's table of received packets.
    package static let turnCapacity = 64

    package let turn: UnsafeMutablePointer<UInt16>
    package var turnCount = 0
    package var subscribers: UnsafeMutablePointer<Subscriber>
    package var subscriberCount = 0
    private var subscriberCapacity = 4
    package let isVideo: Bool
    /// The room's speaker detection and the publisher's number in it; nil for video.
    package var speakers: UnsafeMutablePointer<ActiveSpeakers>?
    package var speakerNumber = 0

    /// One destination: the stream's numbers and the transport they leave through.
    package struct Subscriber {
        package var stream: UnsafeMutablePointer<DownStream>
        package var transport: UnsafeMutablePointer<TransportRoute>
        /// The share of a ``SharedTurn`` it belongs to: always the same one for a transport.
        package var lane: UInt8
    }

    package init(isVideo: Bool) {
        self.isVideo = isVideo
        turn = .allocate(capacity: Self.turnCapacity)
        turn.initialize(repeating: 0, count: Self.turnCapacity)
        subscribers = .allocate(capacity: subscriberCapacity)
    }

    package func release() {
        turn.deallocate()
        subscribers.deallocate()
    }

    package mutating func add(_ subscriber: Subscriber) {
        if subscriberCount == subscriberCapacity {
            let larger = UnsafeMutablePointer<Subscriber>.allocate(capacity: subscriberCapacity * 2)
            larger.moveInitialize(from: subscribers, count: subscriberCount)
            subscribers.deallocate()
            subscribers = larger
            subscriberCapacity *= 2
        }
        (subscribers + subscriberCount).initialize(to: subscriber)
        subscriberCount += 1
    }

    /// Calls for what the next subscribers' packets touch, while the processor is busy with this one's. After a pause
    /// its caches are cold, and a small meeting is nothing but pauses.
    @inline(__always)
    func prefetch(after index: Int) {
        if index + 2 < subscriberCount {
            let later = subscribers[index + 2]
            Self.prefetch(UnsafeRawPointer(later.stream), byteCount: DownStream.hotByteCount)
            Self.prefetch(UnsafeRawPointer(later.transport), byteCount: 128)
        }
        if index + 1 < subscriberCount {
            let next = subscribers[index + 1]
            if let sender = next.transport.pointee.sender { CDatagramIO_prefetch(sender.context) }
        }
    }

    @inline(__always)
    private static func prefetch(_ start: UnsafeRawPointer, byteCount: Int) {
        for offset in stride(from: 0, to: byteCount, by: 64) { CDatagramIO_prefetch(start + offset) }
    }

    package mutating func remove(_ stream: UnsafeMutablePointer<DownStream>) {
        for index in 0..<subscriberCount where subscribers[index].stream == stream {
            subscriberCount -= 1
            subscribers[index] = subscribers[subscriberCount]
            return
        }
    }
}
