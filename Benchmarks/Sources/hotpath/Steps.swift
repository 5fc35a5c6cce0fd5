// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CAllocationCount
@testable import FocusSFU

/// The single steps of the path, and what runs beside it.
enum Steps {
    private static let payloadLength = 1_100

    /// False when a step that every packet takes allocates.
    static func measure() throws -> Bool {
        var holds = true
        for profile in SRTPProfile.allCases { holds = try protection(profile) && holds }
        holds = admission() == 0 && holds
        holds = try header() == 0 && holds
        try feedback()
        try description()
        try halfOpenHandshakes()
        if !holds { report("a step of every packet", "allocates  OVER") }
        return holds
    }

    /// Runs `body` until it is warm, then often, and reports the time of one turn. Returns how often memory was
    /// allocated.
    @discardableResult
    private static func time(_ name: String, turns: Int, _ body: (Int) throws -> Void) rethrows -> UInt {
        for turn in 0..<(turns / 10) { try body(turn) }
        let allocations = CAllocationCount_now()
        let began = processorTime()
        for turn in 0..<turns { try body(turns / 10 + turn) }
        let nanoseconds = (processorTime() - began) / UInt64(turns)
        let allocated = CAllocationCount_now() - allocations
        report(name, "\(nanoseconds) ns")
        return allocated
    }

    private static func session(_ profile: SRTPProfile, _ role: DTLSRole) throws -> SRTPSession {
        let keying = SRTPKeyingMaterial(profile: profile) { (bytes) throws(Never) in
            for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index) }
        }
        return try SRTPSession(keying: keying, localRole: role)
    }

    /// False when a packet after the first ones allocated.
    private static func protection(_ profile: SRTPProfile) throws -> Bool {
        let client = try session(profile, .client)
        let server = try session(profile, .server)
        let turns = 20_000
        let capacity = 12 + payloadLength + SRTPProfile.maximumOverhead
        // All packets lie side by side, so that both directions can be timed apart from each other.
        let packets = UnsafeMutableRawPointer.allocate(byteCount: turns * capacity, alignment: 64)
        defer { packets.deallocate() }
        var sending = SRTPStreamState()
        var receiving = SRTPReceiveStreamState()
        var length = 0
        for turn in 0..<turns {
            write(packets + turn * capacity, sequence: UInt16(truncatingIfNeeded: turn))
        }
        // The first packets of each direction make what the cipher needs.
        let warmUp = turns / 10
        var allocations = CAllocationCount_now()
        var began = processorTime()
        for turn in 0..<turns {
            if turn == warmUp { (began, allocations) = (processorTime(), CAllocationCount_now()) }
            length = client.sender.protect(
                packet: packets + turn * capacity, length: 12 + payloadLength, capacity: capacity, state: &sending)
        }
        let sent = processorTime()
        var allocated = CAllocationCount_now() - allocations
        var receptionBegan = sent
        for turn in 0..<turns {
            if turn == warmUp { (receptionBegan, allocations) = (processorTime(), CAllocationCount_now()) }
            guard
                case .accepted = server.receiver.unprotect(
                    packet: packets + turn * capacity, length: length, state: &receiving)
            else { preconditionFailure("the packet was refused") }
        }
        let received = processorTime()
        allocated += CAllocationCount_now() - allocations
        report("SRTP protect in place, \(profile)", "\((sent - began) / UInt64(turns - warmUp)) ns")
        report("SRTP unprotect, \(profile)", "\((received - receptionBegan) / UInt64(turns - warmUp)) ns")
        return allocated == 0
    }

    private static func write(_ packet: UnsafeMutableRawPointer, sequence: UInt16) {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        _ = PacketWriter.writeHeader(
            into: packet, payloadType: 96, marker: false, sequence: sequence, timestamp: UInt32(sequence) * 3_000,
            ssrc: 7,
            extensionID: 0, extensionValue: none)
        (packet + 12).initializeMemory(as: UInt8.self, repeating: 0x5A, count: payloadLength)
    }

    private static func admission() -> UInt {
        var stream = DownStream(
            ssrc: 1, rtxSSRC: 2, isVideo: true, clockRate: 90_000, firstSequence: 1, firstTimestamp: 1)
        defer { stream.release() }
        stream.isFlowing = true
        let payload = [UInt8](repeating: 0, count: 16)
        return payload.withUnsafeBytes { payload in
            time("admission: flow, layer, number, window", turns: 2_000_000) { turn in
                let packet = ReceivedPacket(
                    extended: Int64(turn), timestamp: UInt32(truncatingIfNeeded: turn &* 3_000), marker: false,
                    isKeyFrame: turn == 0, isOfKeyFrame: turn == 0, layer: 0,
                    descriptor: UnsafeRawBufferPointer(start: nil, count: 0),
                    payload: payload)
                _ = stream.admit(packet, at: MonotonicTime(nanoseconds: UInt64(turn) * 1_000))
            }
        }
    }

    /// A header with the extensions that a browser sends: mid, transport sequence number, absolute send time.
    private static func header() throws -> UInt {
        let packet: [UInt8] =
            [0x90, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 0xBE, 0xDE, 0, 3, 0x10, 0x30, 0x31, 0, 1, 0x22, 1, 2, 3, 0, 0, 0]
            + [UInt8](repeating: 1, count: 64)
        var found = 0
        let allocations = try packet.withUnsafeBytes { packet in
            try time("header with extensions, one looked up", turns: 2_000_000) { _ in
                let header = try RTPHeader(reading: packet)
                if HeaderExtensions(of: packet, header: header).range(of: 3) != nil { found += 1 }
            }
        }
        precondition(found > 0, "the extension is there")
        return allocations
    }

    private static func feedback() throws {
        var generator = TransportFeedbackGenerator()
        var written = 0
        time("transport feedback, a packet", turns: 1_000_000) { turn in
            let now = MonotonicTime(nanoseconds: UInt64(turn) * 4_000_000)
            if generator.received(UInt16(truncatingIfNeeded: turn), marker: false, at: now) {
                var writer = ByteWriter(reservingCapacity: 256)
                generator.writeFeedback(sender: 1, media: 2, at: now, into: &writer)
                written += writer.count
            }
        }
        precondition(written > 0, "feedback was due")
    }

    /// An offer with ten sections.
    private static func description() throws {
        let section = """
            m=audio 9 UDP/TLS/RTP/SAVPF 111
            c=IN IP4 0.0.0.0
            a=rtcp-mux
            a=ice-ufrag:cLnt
            a=ice-pwd:clientpasswordclientpw00
            a=fingerprint:sha-256 \(Array(repeating: "0A", count: 32).joined(separator: ":"))
            a=setup:actpass
            a=sendonly
            a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
            a=rtpmap:111 opus/48000/2
            a=fmtp:111 minptime=10;useinbandfec=1
            """
        let mids = (0..<10).map(String.init)
        let lines =
            ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE " + mids.joined(separator: " ")]
            + mids.flatMap { section.split(separator: "\n").map(String.init) + ["a=mid:\($0)"] }
        let text = lines.map { $0 + "\r\n" }.joined()
        try time("SDP with ten sections, parsed and written", turns: 2_000) { _ in
            let written = SDPWriter.text(of: try SDPParser.parse(text))
            precondition(!written.isEmpty, "nothing was written")
        }
    }

    /// What a client takes that begins a handshake and never goes on: the connection with the first flight and the
    /// signature in it, and each further ClientHello, which is not answered: flights are repeated by the clock.
    private static func halfOpenHandshakes() throws {
        let context = try DTLSContext(certificate: DTLSCertificate(unixTimeSeconds: UnixClock.seconds()))
        let now = MonotonicTime(nanoseconds: 1_000_000_000)
        let client = try DTLSSession(context: context, role: .client, expecting: context.fingerprint)
        client.start(at: now)
        guard case .transmit(var hello)? = client.nextOutput() else { preconditionFailure("there is no ClientHello") }
        func begin() throws -> DTLSSession {
            let server = try DTLSSession(context: context, role: .server, expecting: context.fingerprint)
            server.start(at: now)
            hello.withUnsafeBytes { _ = server.receive($0, at: now) }
            return server
        }
        try time("half-open DTLS, begun and answered", turns: 2_000) { _ in
            guard case .transmit = try begin().nextOutput() else { preconditionFailure("there was no answer") }
        }
        let server = try begin()
        while server.nextOutput() != nil {}
        var flights = 0
        time("half-open DTLS, another ClientHello", turns: 20_000) { turn in
            // A record number of its own, or it is only a replay (RFC 6347 §4.1.2.6).
            for byte in 0..<4 { hello[10 - byte] = UInt8(truncatingIfNeeded: (turn + 1) >> (8 * byte)) }
            guard case .accepted = hello.withUnsafeBytes({ server.receive($0, at: now) }) else {
                preconditionFailure("the handshake is over")
            }
            while case .transmit? = server.nextOutput() { flights += 1 }
        }
        report("  datagrams that these were answered with", "\(flights)")
    }
}
