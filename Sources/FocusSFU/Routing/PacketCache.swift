// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The recent packets of one received stream in the clear, for answering NACKs of its subscribers (RFC 4588).
///
/// One cache a stream serves all subscribers. Payloads lie in a ring of bytes, so small packets cost little; an index
/// of the last sequence numbers points into it. Nothing is allocated after init, and a stream that is slow for its ring
/// uses the first part of it only: the rest stays memory that was promised and never touched.
package struct PacketCache: ~Copyable {
    /// How long a packet is worth keeping: it can be asked for three times over a path of 300 ms, later pictures are
    /// due.
    package static let retentionMilliseconds: UInt64 = 1_000

    /// One cached packet. Pointers are valid until the next ``store(_:at:)``.
    package struct Packet {
        /// Extended sequence number.
        package var extended: Int64
        package var timestamp: UInt32
        package var marker: Bool
        /// The dependency descriptor as the publisher sent it; empty when there was none.
        package var descriptor: UnsafeRawBufferPointer
        package var payload: UnsafeRawBufferPointer
    }

    private struct Entry {
        /// Absolute position of the first byte; the ring holds positions `head - capacity ..< head`.
        var start: UInt64 = 0
        var timestamp: UInt32 = 0
        /// The lower half of the extended number.
        var number: UInt32 = 0
        var payloadLength: UInt16 = 0
        var descriptorLength: UInt8 = 0
        var marker = false
        var isUsed = false
    }

    private let entries: UnsafeMutablePointer<Entry>
    private let entryMask: Int
    private let ring: UnsafeMutableRawPointer
    private let capacity: Int
    private var head: UInt64 = 0
    /// When the first byte of the ring was written last.
    private var lapBegan = MonotonicTime.zero

    /// - Parameters:
    ///   - packetCount: how many sequence numbers are remembered; rounded up to a power of two.
    ///   - byteCount: size of the ring of payloads.
    package init(packetCount: Int, byteCount: Int) {
        precondition(packetCount > 0)
        let packetCount = 1 << (Int.bitWidth - (packetCount - 1).leadingZeroBitCount)
        entries = .allocate(capacity: packetCount)
        entries.initialize(repeating: Entry(), count: packetCount)
        entryMask = packetCount - 1
        ring = .allocate(byteCount: byteCount, alignment: 16)
        capacity = byteCount
    }

    deinit {
        entries.deallocate()
        ring.deallocate()
    }

    /// Copies a packet in; the oldest ones give way.
    ///
    /// - Returns: false when there is one under its number, which stays: it may have been sent, and whoever asked for
    ///   the other would get it.
    package mutating func store(_ packet: Packet, at now: MonotonicTime) -> Bool {
        let length = packet.descriptor.count + packet.payload.count
        guard length <= capacity, packet.descriptor.count <= 255, packet.payload.count <= Int(UInt16.max) else {
            return true
        }
        // A packet that comes a whole table late must not take the place of a newer one.
        let number = UInt32(truncatingIfNeeded: packet.extended)
        let previous = entries[Int(number) & entryMask]
        if previous.isUsed, previous.number == number { return false }
        if previous.isUsed, Int32(bitPattern: number &- previous.number) < 0 { return true }
        var position = Int(head % UInt64(capacity))
        let isStale = now.milliseconds(since: lapBegan) >= Self.retentionMilliseconds
        if position + length > capacity || isStale && position > 0 {
            head += UInt64(capacity - position)
            position = 0
        }
        if position == 0 { lapBegan = now }
        if let base = packet.descriptor.baseAddress {
            (ring + position).copyMemory(from: base, byteCount: packet.descriptor.count)
        }
        if let base = packet.payload.baseAddress {
            (ring + position + packet.descriptor.count).copyMemory(from: base, byteCount: packet.payload.count)
        }
        entries[Int(number) & entryMask] = Entry(
            start: head, timestamp: packet.timestamp, number: number, payloadLength: UInt16(packet.payload.count),
            descriptorLength: UInt8(packet.descriptor.count), marker: packet.marker, isUsed: true)
        head += UInt64(length)
        return true
    }

    /// The packet with that sequence number, or nil when it is too old or never came.
    package func packet(_ extended: Int64) -> Packet? {
        let number = UInt32(truncatingIfNeeded: extended)
        let entry = entries[Int(number) & entryMask]
        guard entry.isUsed, entry.number == number, head - entry.start <= UInt64(capacity) else { return nil }
        let base = ring + Int(entry.start % UInt64(capacity))
        let descriptorLength = Int(entry.descriptorLength)
        return Packet(
            extended: extended, timestamp: entry.timestamp, marker: entry.marker,
            descriptor: UnsafeRawBufferPointer(start: base, count: descriptorLength),
            payload: UnsafeRawBufferPointer(start: base + descriptorLength, count: Int(entry.payloadLength)))
    }
}
