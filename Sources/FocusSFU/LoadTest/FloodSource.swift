// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CDatagramIO
import Glibc

/// Sends a flood at an even rate, a few packets in each turn of the loop, so that the call goes on between them.
final class FloodSource {
    /// Ports that a flood of strangers comes from, one packet each in turn.
    static let strangers = 1_000
    /// Packets sent before the call has its turn again.
    private static let burst: UInt64 = 256
    /// Nanoseconds from one turn to the next while it keeps up.
    private static let step: UInt64 = 1_000_000

    let plan: FloodPlan
    /// The track whose packets are taken for models: the first with video, else the first.
    private var model: GeneratedTrack?
    private var recorded: [[UInt8]] = []
    private var datagrams: [[UInt8]] = []
    /// Whose call is disturbed, and whose socket is used where the kind says so.
    private var participant: LoadConnection?
    private var path = NetworkAddress.unspecified
    /// Its own; empty when it sends from a participant's.
    private var sockets: [Int32] = []
    private var start: UInt64?
    /// Packets that were due so far, sent or not.
    private var offered: UInt64 = 0
    private var position = 0
    /// When packets are due again, nanoseconds of the loop's clock.
    private(set) var nextDue = UInt64.max
    /// Packets given to the kernel, and those that it had no room for.
    private(set) var sent: UInt64 = 0
    private(set) var unsent: UInt64 = 0

    init(_ plan: FloodPlan) {
        self.plan = plan
    }

    deinit {
        for socket in sockets { close(socket) }
    }

    /// Takes a copy of the packet that a track has just sent, as long as copies are wanted.
    func record(_ track: GeneratedTrack) {
        if track.isVideo && model?.isVideo != true || model == nil {
            model = track
            recorded.removeAll()
        }
        guard track === model, recorded.count < FloodDatagrams.count else { return }
        recorded.append(track.lastPacket)
    }

    /// - Parameter owners: the participant that sends a track, by the track's number.
    func begin(owners: [LoadPeer], context: DTLSContext, at now: MonotonicTime) throws(LoadTestFault) {
        guard let model, let path = owners[Int(model.number)].sending.ice.selectedPath else {
            throw .system("a flood needs somebody who sends")
        }
        let connection = owners[Int(model.number)].sending
        datagrams = FloodDatagrams(
            kind: plan.kind, track: model, connection: connection, recorded: recorded, context: context
        ).make()
        guard !datagrams.isEmpty else { throw .system("there is nothing to flood with") }
        participant = connection
        self.path = path
        if !plan.kind.isFromWithin {
            for _ in 0..<Self.strangers {
                let socket = CDatagramIO_sink_open(4_096)
                guard socket >= 0 else { throw .system(SocketError(call: "UDP socket", errno: -socket).description) }
                sockets.append(socket)
            }
        }
        start = now.nanoseconds
        nextDue = now.nanoseconds
    }

    func end() {
        start = nil
        nextDue = .max
    }

    func sendDue(at now: MonotonicTime) {
        guard let start, now.nanoseconds >= nextDue else { return }
        let due = (now.nanoseconds - start) * UInt64(plan.packetsPerSecond) / 1_000_000_000
        let count = min(due - offered, Self.burst)
        for _ in 0..<count { sendNext() }
        offered += count
        nextDue = offered < due ? now.nanoseconds : now.nanoseconds + Self.step
    }

    private func sendNext() {
        let datagram = datagrams[position % datagrams.count]
        let hasRoom = datagram.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return false }
            if let participant, sockets.isEmpty { return participant.send(base, length: bytes.count, to: path) }
            return CDatagramIO_sink_send(
                sockets[position % sockets.count], base, UInt32(bytes.count), path.high, path.low, path.port) == 1
        }
        position += 1
        if hasRoom { sent += 1 } else { unsent += 1 }
    }
}
