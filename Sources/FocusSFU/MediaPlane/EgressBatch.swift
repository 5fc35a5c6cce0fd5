// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CDatagramIO

/// Datagrams waiting to be sent by one worker: fixed slots, flushed when full and at the end of every turn.
///
/// Order: first in, first out. Overflow of the kernel's buffer loses the datagrams at the end of the flush, counted as
/// ``DropReason/sendBufferFull``; nothing waits in user space.
final class EgressBatch {
    static let slotCount = 128
    static let slotCapacity = 2048

    private let batch: UnsafeMutablePointer<CDatagramIO_batch>
    private let socket: Int32
    private var used: UInt32 = 0
    private(set) var datagramsSent: UInt64 = 0
    private(set) var drops = DropCounters()
    private(set) var systemCalls: UInt64 = 0

    init?(socket: Int32) {
        guard let batch = CDatagramIO_batch_create(UInt32(Self.slotCount), UInt32(Self.slotCapacity)) else {
            return nil
        }
        self.batch = batch
        self.socket = socket
    }

    deinit {
        CDatagramIO_batch_destroy(batch)
    }

    /// Memory of the next slot; written first, then given away with ``commit(length:to:)``.
    @inline(__always)
    func nextSlot() -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(batch.pointee.memory + Int(used) * Self.slotCapacity)
    }

    /// - Parameter local: the address of ours to send from; unspecified leaves it to the kernel.
    @inline(__always)
    func commit(length: Int, to address: NetworkAddress, from local: NetworkAddress) {
        let datagram = batch.pointee.datagrams + Int(used)
        datagram.pointee.high = address.high
        datagram.pointee.low = address.low
        datagram.pointee.port = address.port
        datagram.pointee.localHigh = local.high
        datagram.pointee.localLow = local.low
        datagram.pointee.length = UInt32(length)
        used += 1
        if used == UInt32(Self.slotCount) { flush() }
    }

    /// Copies one control datagram (STUN, DTLS, RTCP) into the batch.
    func append(_ bytes: [UInt8], to address: NetworkAddress, from local: NetworkAddress) {
        guard bytes.count <= Self.slotCapacity, !bytes.isEmpty else { return }
        bytes.withUnsafeBytes { source in
            guard let base = source.baseAddress else { return }
            nextSlot().copyMemory(from: base, byteCount: source.count)
        }
        commit(length: bytes.count, to: address, from: local)
    }

    func flush() {
        guard used > 0 else { return }
        let sent = CDatagramIO_send(socket, batch, used, &systemCalls)
        datagramsSent &+= UInt64(sent)
        if sent < used { drops.count(.sendBufferFull, times: UInt64(used - sent)) }
        used = 0
    }
}
