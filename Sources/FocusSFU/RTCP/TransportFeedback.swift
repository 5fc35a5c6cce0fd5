// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Which packets of a transport have arrived, and when: the sender's bandwidth estimate lives on it.
/// draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1, packet type 205, format 15.
///
///     |                    SSRC of packet sender                      |
///     |                    SSRC of media source                       |
///     |     base sequence number      |      packet status count      |
///     |          reference time in 64 ms, 24 bits     | feedback count |
///     |  packet chunks, 16 bits each  |  receive deltas in 250 µs     |
///
/// A chunk is a run of one symbol, or a vector of symbols, one for each sequence number from the base on:
///
///     |0| S |        run length (13)          |
///     |1|0|    14 symbols of one bit          |  0 not received, 1 small delta
///     |1|1|     7 symbols of two bits         |
///
/// Writing only: nobody reads this here.
package enum TransportFeedback {
    static let format: UInt8 = 15

    /// When one packet arrived, in ticks of 250 µs on any clock that only goes forward.
    package struct Arrival: Equatable, Sendable {
        /// The transport-wide number, extended so that it does not wrap.
        package var sequence: Int64
        package var tick: Int64

        package init(sequence: Int64, tick: Int64) {
            self.sequence = sequence
            self.tick = tick
        }
    }

    /// Nanoseconds in one tick.
    package static let tickNanoseconds: UInt64 = 250_000
    /// 64 ms, the unit of the reference time.
    private static let ticksPerReference: Int64 = 256
    /// The span one packet covers, received or not; keeps it far below the size of a datagram.
    package static let statusLimit = 1024

    private enum Symbol {
        static let notReceived: UInt8 = 0
        static let smallDelta: UInt8 = 1
        static let largeDelta: UInt8 = 2
    }

    /// Writes one packet for the longest prefix of `arrivals` it can carry.
    ///
    /// A packet ends where the span exceeds ``statusLimit`` or two arrivals lie more than 8 s apart.
    ///
    /// The first number reported is `base`; what lies between it and the first arrival is reported missing. `arrivals`
    /// ascend by sequence without repetition, none before `base`, the first within the limit. `feedbackCount` is one
    /// more for each packet written, modulo 256.
    ///
    /// - Returns: how many arrivals the packet tells; 0 when the conditions do not hold.
    package static func write(
        sender: UInt32, media: UInt32, base: Int64, arrivals: ArraySlice<Arrival>, feedbackCount: UInt8,
        into writer: inout ByteWriter
    ) -> Int {
        guard let first = arrivals.first, first.sequence >= base, first.sequence - base < statusLimit else { return 0 }
        let reference = first.tick >> 8
        var symbols: [UInt8] = []
        var deltas: [Int16] = []
        var last = reference * ticksPerReference
        for arrival in arrivals {
            let missing = arrival.sequence - base - Int64(symbols.count)
            guard arrival.sequence - base < statusLimit, missing >= 0,
                let delta = Int16(exactly: arrival.tick - last)
            else { break }
            for _ in 0..<missing { symbols.append(Symbol.notReceived) }
            symbols.append((0...255).contains(delta) ? Symbol.smallDelta : Symbol.largeDelta)
            deltas.append(delta)
            last = arrival.tick
        }

        let start = writer.beginRTCPPacket(type: RTCPType.transportLayerFeedback, count: Int(format))
        writer.write(sender)
        writer.write(media)
        writer.write(UInt16(truncatingIfNeeded: base))
        writer.write(UInt16(symbols.count))
        writer.writeUInt24(UInt32(truncatingIfNeeded: reference))
        writer.write(feedbackCount)
        writeChunks(symbols, into: &writer)
        for delta in deltas {
            if (0...255).contains(delta) {
                writer.write(UInt8(delta))
            } else {
                writer.write(UInt16(bitPattern: delta))
            }
        }
        writer.finishRTCPPacket(at: start)
        return deltas.count
    }

    private static func writeChunks(_ symbols: [UInt8], into writer: inout ByteWriter) {
        var rest = symbols[...]
        while let symbol = rest.first {
            let run = rest.prefix { $0 == symbol }.count
            let next = rest.prefix(14)
            if run >= 14 || run == rest.count || (run >= 7 && symbol == Symbol.largeDelta) {
                writer.write(UInt16(symbol) << 13 | UInt16(run))
                rest = rest.dropFirst(run)
            } else if !next.contains(Symbol.largeDelta) {
                var chunk: UInt16 = 0x8000
                for (index, symbol) in next.enumerated() { chunk |= UInt16(symbol) << UInt16(13 - index) }
                writer.write(chunk)
                rest = rest.dropFirst(14)
            } else {
                var chunk: UInt16 = 0xC000
                for (index, symbol) in rest.prefix(7).enumerated() {
                    chunk |= UInt16(symbol) << UInt16(12 - 2 * index)
                }
                writer.write(chunk)
                rest = rest.dropFirst(7)
            }
        }
    }
}
