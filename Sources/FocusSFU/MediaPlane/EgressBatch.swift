// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CDatagramIO

/// Datagrams waiting to be sent by one thread: fixed slots, flushed when full and at the end of every turn. A handle on
/// memory allocated once, so that the packet path touches no stored property of a class.
///
/// Order: first in, first out for each stream to a destination. When the kernel's buffer is full, what is left of the
/// flush is thinned out: sound and control messages wait for the next flush, then packets of key frames as far as there
/// is room; everything else is lost and counted by what it was.
struct EgressBatch {
    static let slotCount = 128
    static let slotCapacity = 2048
    /// Slots that may wait for the next flush.
    static let waitingLimit = 64

    /// What a datagram is worth when not all can be sent.
    enum Priority: UInt8 {
        case control
        case audio
        case keyFrame
        case video
    }

    private struct State {
        let batch: UnsafeMutablePointer<CDatagramIO_batch>
        let priorities: UnsafeMutablePointer<Priority>
        var socket: Int32
        var used = 0
        var datagramsSent: UInt64 = 0
        var messagesSent: UInt64 = 0
        var drops = DropCounters()
    }

    private let state: UnsafeMutablePointer<State>

    /// Nil when out of memory.
    init?(socket: Int32) {
        guard let batch = CDatagramIO_batch_create(UInt32(Self.slotCount), UInt32(Self.slotCapacity)) else {
            return nil
        }
        let priorities = UnsafeMutablePointer<Priority>.allocate(capacity: Self.slotCount)
        priorities.initialize(repeating: .control, count: Self.slotCount)
        state = .allocate(capacity: 1)
        state.initialize(to: State(batch: batch, priorities: priorities, socket: socket))
    }

    /// Frees the memory; the owner calls it once, after the last use.
    func release() {
        CDatagramIO_batch_destroy(state.pointee.batch)
        state.pointee.priorities.deallocate()
        state.deinitialize(count: 1)
        state.deallocate()
    }

    var datagramsSent: UInt64 { state.pointee.datagramsSent }
    /// What they left in: one message may be several datagrams for one destination.
    var messagesSent: UInt64 { state.pointee.messagesSent }
    var drops: DropCounters { state.pointee.drops }

    /// Sends what follows through another socket. Only after ``finish()``.
    func use(socket: Int32) {
        state.pointee.socket = socket
    }

    /// Memory of the next slot; written first, then given away with ``commit(length:to:from:priority:)``.
    @inline(__always)
    func nextSlot() -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(state.pointee.batch.pointee.memory + state.pointee.used * Self.slotCapacity)
    }

    /// - Parameter local: the address of ours to send from; unspecified leaves it to the kernel.
    @inline(__always)
    func commit(length: Int, to address: NetworkAddress, from local: NetworkAddress, priority: Priority) {
        let used = state.pointee.used
        let datagram = state.pointee.batch.pointee.datagrams + used
        datagram.pointee.high = address.high
        datagram.pointee.low = address.low
        datagram.pointee.port = address.port
        datagram.pointee.localHigh = local.high
        datagram.pointee.localLow = local.low
        datagram.pointee.length = UInt32(length)
        state.pointee.priorities[used] = priority
        state.pointee.used = used + 1
        if used + 1 == Self.slotCount { flush() }
    }

    /// Copies one control datagram (STUN, DTLS, RTCP) into the batch.
    func append(_ bytes: [UInt8], to address: NetworkAddress, from local: NetworkAddress) {
        guard bytes.count <= Self.slotCapacity, !bytes.isEmpty else { return }
        bytes.withUnsafeBytes { source in
            guard let base = source.baseAddress else { return }
            nextSlot().copyMemory(from: base, byteCount: source.count)
        }
        commit(length: bytes.count, to: address, from: local, priority: .control)
    }

    /// Gives all slots to the kernel, as far as it takes them.
    func flush() {
        let used = state.pointee.used
        guard used > 0 else { return }
        var unreachable: UInt32 = 0
        let taken = Int(
            CDatagramIO_send(
                state.pointee.socket, state.pointee.batch, UInt32(used), &unreachable, &state.pointee.messagesSent))
        state.pointee.datagramsSent &+= UInt64(taken) - UInt64(unreachable)
        if unreachable > 0 { state.pointee.drops.count(.sendUnreachable, times: UInt64(unreachable)) }
        state.pointee.used = 0
        if taken < used { keepUnsent(of: used) }
    }

    /// Flushes and leaves nothing waiting; what the kernel does not take is lost and counted.
    func finish() {
        flush()
        for index in 0..<state.pointee.used {
            state.pointee.drops.count(.init(unsent: state.pointee.priorities[index]))
        }
        state.pointee.used = 0
    }

    /// Which of the slots that were not sent may wait: what is worth most first, ``waitingLimit`` at most.
    static func survivors(
        of left: InlineArray<128, Bool>, priorities: UnsafePointer<Priority>
    ) -> InlineArray<128, Bool> {
        var isKept = InlineArray<128, Bool>(repeating: false)
        var room = waitingLimit
        for wanted in [Priority.control, .audio, .keyFrame] {
            for index in left.indices where left[index] && room > 0 && priorities[index] == wanted {
                isKept[index] = true
                room -= 1
            }
        }
        return isKept
    }

    /// Moves what may wait to the front, for the next flush. The slots that were sent have no length any more.
    private func keepUnsent(of used: Int) {
        let batch = state.pointee.batch
        var isLeft = InlineArray<128, Bool>(repeating: false)
        for index in 0..<used { isLeft[index] = batch.pointee.datagrams[index].length > 0 }
        let isKept = Self.survivors(of: isLeft, priorities: state.pointee.priorities)
        var kept = 0
        for index in 0..<used where isLeft[index] {
            guard isKept[index] else {
                state.pointee.drops.count(.init(unsent: state.pointee.priorities[index]))
                continue
            }
            if kept != index {
                let datagram = batch.pointee.datagrams[index]
                batch.pointee.datagrams[kept] = datagram
                state.pointee.priorities[kept] = state.pointee.priorities[index]
                (batch.pointee.memory + kept * Self.slotCapacity)
                    .update(from: batch.pointee.memory + index * Self.slotCapacity, count: Int(datagram.length))
            }
            kept += 1
        }
        state.pointee.used = kept
    }
}

extension DropReason {
    /// Why a datagram of this worth was not sent.
    fileprivate init(unsent priority: EgressBatch.Priority) {
        switch priority {
        case .control: self = .sendBufferFull
        case .audio: self = .sendBufferFullAudio
        case .keyFrame: self = .sendBufferFullKeyFrame
        case .video: self = .sendBufferFullVideo
        }
    }
}
