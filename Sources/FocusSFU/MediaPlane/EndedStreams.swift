// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What is kept of streams that a transport has freed, should their SSRC go on: after a change of codec, or when a
/// section comes back.
///
/// The rollover counter of SRTP is nowhere in the packets (RFC 3711 §3.3.1), and clients stop sending mid and rid once
/// they know us to have read them, so a stream that began anew would stay undecipherable or unknown. The replay window
/// goes on as well.
struct EndedStreams {
    struct Entry {
        var srtp: SRTPReceiveStreamState
        let mid: String
        let layer: Int8
    }

    static let limit = 64
    private var entries: [UInt32: Entry] = [:]
    /// Oldest first.
    private var order: [UInt32] = []

    subscript(ssrc: UInt32) -> Entry? { entries[ssrc] }

    mutating func remember(_ stream: UnsafeMutablePointer<ReceiveStream>) {
        let ssrc = stream.pointee.ssrc
        if entries[ssrc] != nil { order.removeAll { $0 == ssrc } }
        if order.count == Self.limit { entries[order.removeFirst()] = nil }
        order.append(ssrc)
        entries[ssrc] = Entry(srtp: stream.pointee.srtp, mid: stream.pointee.mid, layer: stream.pointee.layer)
    }
}
