// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc

/// A track that a load test publishes: packets with the look of Opus or VP8 and filler inside.
///
/// The last bytes of each payload name the track and the packet, so that whoever decrypts one knows when it was sent.
/// Each packet is encrypted when it leaves: a table of packets encrypted beforehand would have to be as long as the
/// whole test, since servers take a repeated sequence number for a replay, and publishers are few.
final class GeneratedTrack {
    /// Bytes of ``Mark`` at the end of a payload.
    static let markLength = 12
    /// Room for descriptor, VP8 header and mark.
    static let leastPayload = 40
    static let largestPayload = 1_400
    /// For so long at least it is known when a packet was sent; one that takes longer is in no latency.
    private static let secondsKept = 20
    private static let keyFrameInterval: UInt64 = 90
    private static let magic: UInt32 = 0x6362_4C54
    private static let capacity = 2_048

    /// What the end of a payload says.
    struct Mark: Equatable {
        var track: UInt32
        var packet: UInt32

        /// Nil when the payload is not one of ours.
        init?(endOf packet: UnsafeRawBufferPointer) {
            guard packet.count >= markLength else { return nil }
            let start = packet.count - markLength
            func word(_ offset: Int) -> UInt32 {
                UInt32(bigEndian: packet.loadUnaligned(fromByteOffset: start + offset, as: UInt32.self))
            }
            guard word(0) == magic else { return nil }
            track = word(4)
            self.packet = word(8)
        }
    }

    let number: UInt32
    let isVideo: Bool
    let ssrc = Random.uint32() | 1
    let cid: String
    private let payloadLength: Int
    private let schedule: PacketSchedule
    private let memory: UnsafeMutableRawPointer
    /// A ring of ``timesKept`` entries.
    private let times: UnsafeMutablePointer<UInt64>
    /// A power of two.
    private let timesKept: Int
    private var srtp = SRTPStreamState()
    private var sequence = UInt16.random(in: 0...0x7FFF)
    private let firstTimestamp = Random.uint32()
    /// The next packet.
    private var packet: UInt64 = 0
    /// When packet zero was, or would have been, due; nil while nothing is sent.
    private var origin: UInt64?
    private(set) var nextDue = UInt64.max
    private var wantsKeyFrame = true

    /// Packets given to the kernel.
    private(set) var sent: UInt64 = 0
    /// Packets that the kernel had no room for.
    private(set) var lost: UInt64 = 0
    /// Bytes of the packet sent last, which are in ``memory`` until the next one.
    private var lastLength = 0

    init(number: Int, isVideo: Bool, shape: LoadTestPlan.TrackShape, pacing: PacketSchedule.Pacing) {
        self.number = UInt32(number)
        self.isVideo = isVideo
        cid = "load-test-\(number)"
        payloadLength = min(max(shape.payloadBytes, Self.leastPayload), Self.largestPayload)
        schedule =
            isVideo
            ? .video(packetsPerSecond: shape.packetsPerSecond, pacing: pacing)
            : .audio(packetsPerSecond: shape.packetsPerSecond)
        memory = .allocate(byteCount: Self.capacity, alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: 0x55, count: Self.capacity)
        let wanted = max(1, shape.packetsPerSecond * Self.secondsKept)
        timesKept = 1 << (Int.bitWidth - (wanted - 1).leadingZeroBitCount)
        times = .allocate(capacity: timesKept)
        times.initialize(repeating: 0, count: timesKept)
    }

    deinit {
        memory.deallocate()
        times.deallocate()
    }

    /// When a packet was sent, nanoseconds of CLOCK_REALTIME; nil when that is too long ago to know.
    func time(of packet: UInt32) -> UInt64? {
        let next = UInt32(truncatingIfNeeded: self.packet)
        guard next &- packet <= UInt32(timesKept), next != packet else { return nil }
        return times[Int(packet) & (timesKept - 1)]
    }

    var nextSequence: UInt16 { sequence }
    /// The packet sent last, as it was sent.
    var lastPacket: [UInt8] { Array(UnsafeRawBufferPointer(start: memory, count: lastLength)) }

    /// Goes on with the next packet, `delay` nanoseconds from now.
    func resume(at now: MonotonicTime, delay: UInt64) {
        let start = now.nanoseconds &+ delay
        origin = start &- schedule.due(packet)
        nextDue = start
    }

    func pause() {
        origin = nil
        nextDue = .max
    }

    func requestKeyFrame() {
        wantsKeyFrame = true
    }

    /// Sends all that is due and tells how late the first of it was, in nanoseconds.
    func sendDue(at now: MonotonicTime, on connection: LoadConnection) -> UInt64? {
        guard now.nanoseconds >= nextDue, let origin else { return nil }
        let lateness = now.nanoseconds - nextDue
        guard let sender = connection.srtp?.sender, let path = connection.ice.selectedPath else { return nil }
        repeat {
            send(with: sender, on: connection, to: path)
            advance()
            nextDue = origin &+ schedule.due(packet)
        } while now.nanoseconds >= nextDue
        return lateness
    }

    private func send(with sender: SRTPSender, on connection: LoadConnection, to path: NetworkAddress) {
        let plain = writePacket()
        let length = sender.protect(packet: memory, length: plain.count, capacity: Self.capacity, state: &srtp)
        times[Int(truncatingIfNeeded: packet) & (timesKept - 1)] = RealTime.nanoseconds()
        lastLength = length
        if length > 0, connection.send(memory, length: length, to: path) {
            sent += 1
        } else {
            lost += 1
        }
    }

    /// Goes on to the next packet.
    func advance() {
        packet += 1
        sequence &+= 1
    }

    /// The current packet in the clear, in memory that the next one takes.
    func writePacket() -> UnsafeRawBufferPointer {
        let headerLength = writeHeader()
        writePayload(at: headerLength)
        return UnsafeRawBufferPointer(start: memory, count: headerLength + payloadLength)
    }

    private func writeHeader() -> Int {
        let frame = schedule.frame(of: packet)
        let clockRate: UInt64 = isVideo ? 90_000 : 48_000
        let timestamp = firstTimestamp &+ UInt32(truncatingIfNeeded: frame * clockRate / schedule.framesPerSecond)
        let payloadType = isVideo ? ClientDescription.vp8 : ClientDescription.opus
        // The end of a frame (RFC 7741 §4.1), or the beginning of a talkspurt (RFC 3551 §4.1).
        let marker: UInt8 = (isVideo ? schedule.endsFrame(packet) : packet == 0) ? 0x80 : 0
        memory.storeBytes(of: isVideo ? 0x80 : 0x90, as: UInt8.self)
        memory.storeBytes(of: marker | payloadType, toByteOffset: 1, as: UInt8.self)
        memory.storeBytes(of: sequence.bigEndian, toByteOffset: 2, as: UInt16.self)
        memory.storeBytes(of: timestamp.bigEndian, toByteOffset: 4, as: UInt32.self)
        memory.storeBytes(of: ssrc.bigEndian, toByteOffset: 8, as: UInt32.self)
        guard !isVideo else { return 12 }
        // One element in the one-byte form (RFC 8285): voice at -20 dBov (RFC 6464), so that all count as talking.
        let level: UInt32 = 0xBEDE_0001
        memory.storeBytes(of: level.bigEndian, toByteOffset: 12, as: UInt32.self)
        let element = UInt32(ClientDescription.audioLevelID) << 28 | UInt32(0x80 | 20) << 16
        memory.storeBytes(of: element.bigEndian, toByteOffset: 16, as: UInt32.self)
        return 20
    }

    private func writePayload(at start: Int) {
        if isVideo { writeVP8(at: start) } else { memory.storeBytes(of: 0x78, toByteOffset: start, as: UInt8.self) }
        let mark = start + payloadLength - Self.markLength
        memory.storeBytes(of: Self.magic.bigEndian, toByteOffset: mark, as: UInt32.self)
        memory.storeBytes(of: number.bigEndian, toByteOffset: mark + 4, as: UInt32.self)
        memory.storeBytes(of: UInt32(truncatingIfNeeded: packet).bigEndian, toByteOffset: mark + 8, as: UInt32.self)
    }

    /// The payload descriptor with a picture ID of 15 bits, and in a frame's first packet what a key frame or another
    /// one begins with (RFC 7741 §4.2 and §4.3).
    private func writeVP8(at start: Int) {
        let frame = schedule.frame(of: packet)
        let startsFrame = schedule.startsFrame(packet)
        let picture = UInt16(truncatingIfNeeded: frame & 0x7FFF)
        let bytes: [4 of UInt8] = [
            startsFrame ? 0x90 : 0x80, 0x80, 0x80 | UInt8(picture >> 8), UInt8(truncatingIfNeeded: picture),
        ]
        for index in bytes.indices { memory.storeBytes(of: bytes[index], toByteOffset: start + index, as: UInt8.self) }
        guard startsFrame else { return memory.storeBytes(of: 0x55, toByteOffset: start + 4, as: UInt8.self) }
        let isKeyFrame = wantsKeyFrame || frame.isMultiple(of: Self.keyFrameInterval)
        memory.storeBytes(of: isKeyFrame ? 0x10 : 0x11, toByteOffset: start + 4, as: UInt8.self)
        guard isKeyFrame else { return }
        wantsKeyFrame = false
        // Size of the first partition, start code, 1280 x 720.
        let header: [9 of UInt8] = [0x02, 0x00, 0x9D, 0x01, 0x2A, 0x00, 0x05, 0xD0, 0x02]
        for index in header.indices {
            memory.storeBytes(of: header[index], toByteOffset: start + 5 + index, as: UInt8.self)
        }
    }
}

/// The wall clock, which the kernel stamps arriving datagrams with.
enum RealTime {
    @inline(__always)
    static func nanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
