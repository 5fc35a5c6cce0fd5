// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CDatagramIO
import Glibc

/// The peer connection of a client of ours, in a load test or as an echo: one UDP socket with ICE, DTLS and SRTP over
/// it.
///
/// A socket each, because servers tell participants apart by their address.
final class LoadConnection {
    /// What a datagram was, for those who care.
    enum Received {
        case rtp(UnsafeMutableRawBufferPointer, arrival: UInt64)
        /// Key frames are wanted of this stream of ours.
        case keyFrameRequest(ssrc: UInt32)
    }

    /// Bytes each way: half a second of 49 talkers, or of a fast video.
    private static let bufferBytes: Int32 = 4 << 20

    let socket: Int32
    private(set) var ice: ICEControllingAgent
    private let context: DTLSContext
    private var dtls: DTLSSession?
    private(set) var srtp: SRTPSession?
    /// Why there will be no media; nil while there may.
    private(set) var failure: String?
    /// The socket is closed, and its number may be another one's.
    private var isAbandoned = false
    /// Datagrams that were neither STUN, DTLS, RTP nor RTCP, or did not pass.
    private(set) var refused: UInt64 = 0
    /// The server's, nil before it is known.
    private(set) var remoteUsernameFragment: String?

    init(context: DTLSContext) throws(SocketError) {
        let socket = CDatagramIO_sink_open(Self.bufferBytes)
        guard socket >= 0 else { throw SocketError(call: "UDP socket", errno: -socket) }
        self.socket = socket
        self.context = context
        ice = ICEControllingAgent(
            credentials: ICECredentials(randomBytes: Random.bytes(ICECredentials.randomByteCount)),
            tieBreaker: Random.uint64(), transactionHigh: Random.uint32())
    }

    deinit {
        if !isAbandoned { close(socket) }
    }

    /// Takes and sends nothing more.
    func abandon() {
        guard !isAbandoned else { return }
        isAbandoned = true
        close(socket)
    }

    var isConnected: Bool { srtp != nil }
    var endpoint: LoadEndpoint { LoadEndpoint(credentials: ice.credentials, fingerprint: context.fingerprint) }
    /// Datagrams that came faster than they were read.
    var overflow: UInt64 { isAbandoned ? 0 : UInt64(CDatagramIO_sink_overflow(socket)) }

    /// Takes the server's side. DTLS begins once a path is nominated, and is begun by us unless the server wants to.
    func apply(_ transport: RemoteTransport, at now: MonotonicTime) {
        guard
            let remote = ICECredentials(usernameFragment: transport.usernameFragment, password: transport.password)
        else { return fail("the server gave no usable ICE credentials") }
        ice.setRemote(remote)
        remoteUsernameFragment = remote.usernameFragment
        for line in transport.candidates { add(candidate: line) }
        if dtls == nil {
            do throws(DTLSError) {
                dtls = try DTLSSession(
                    context: context, role: transport.setup == .active ? .server : .client,
                    expecting: transport.fingerprint)
            } catch {
                return fail("DTLS cannot begin: \(error)")
            }
        }
        advance(to: now)
    }

    func add(candidate line: String) {
        guard let candidate = Candidate(line: line), candidate.transport == .udp, candidate.component == 1,
            let address = candidate.address
        else { return }
        ice.add(address)
    }

    /// Tries another path to the server: this address with the port of one that the server names.
    func add(address literal: String, asIn line: String) {
        guard let port = Candidate(line: line)?.address?.port, let address = NetworkAddress(literal, port: port) else {
            return
        }
        ice.add(address)
    }

    /// Does what is due: checks, consent, repetitions of the handshake.
    func advance(to now: MonotonicTime) {
        ice.advance(to: now)
        flushICE()
        if let deadline = dtls?.nextDeadline, now >= deadline {
            dtls?.advance(to: now)
            drainDTLS()
        }
    }

    @inline(__always)
    func send(_ bytes: UnsafeRawPointer, length: Int, to address: NetworkAddress) -> Bool {
        !isAbandoned
            && CDatagramIO_sink_send(socket, bytes, UInt32(length), address.high, address.low, address.port) == 1
    }

    // MARK: Receiving

    /// Reads all that is there.
    func receive(
        with sink: UnsafeMutablePointer<CDatagramIO_sink>, at now: MonotonicTime, _ handle: (Received) -> Void
    ) {
        while !isAbandoned {
            let count = CDatagramIO_sink_read(socket, sink)
            guard count > 0 else { return }
            for index in 0..<Int(count) {
                let message = sink.pointee.messages[index]
                var offset = 0
                let length = Int(message.length)
                let step = max(1, Int(message.segmentLength))
                while offset < length {
                    let datagram = UnsafeMutableRawBufferPointer(
                        start: message.bytes + offset, count: min(step, length - offset))
                    take(datagram, message, at: now, handle)
                    offset += step
                }
            }
            guard count == Int32(sink.pointee.count) else { return }
        }
    }

    @inline(__always)
    private func take(
        _ datagram: UnsafeMutableRawBufferPointer, _ message: CDatagramIO_message, at now: MonotonicTime,
        _ handle: (Received) -> Void
    ) {
        guard datagram.count >= 12 else { return refused &+= 1 }
        switch datagram[0] {
        case 128...191 where !RTCPType.all.contains(datagram[1]):
            handle(.rtp(datagram, arrival: message.arrival))
        case 128...191:
            receiveRTCP(datagram, handle)
        case 20...63:
            _ = dtls?.receive(UnsafeRawBufferPointer(datagram), at: now)
            drainDTLS()
        case 0...3:
            let address = NetworkAddress(high: message.high, low: message.low, port: message.port)
            let wasSelected = ice.selectedPath != nil
            if case .dropped = ice.receive(UnsafeRawBufferPointer(datagram), from: address, at: now) { refused &+= 1 }
            flushICE()
            if !wasSelected, ice.selectedPath != nil {
                dtls?.start(at: now)
                drainDTLS()
            }
        default:
            refused &+= 1
        }
    }

    private func receiveRTCP(_ datagram: UnsafeMutableRawBufferPointer, _ handle: (Received) -> Void) {
        guard let srtp, let base = datagram.baseAddress,
            case .accepted(let length) = srtp.receiver.unprotectRTCP(packet: base, length: datagram.count),
            let compound = try? RTCPCompound(UnsafeRawBufferPointer(start: base, count: length))
        else { return refused &+= 1 }
        for packet in compound {
            switch packet.kind {
            case .pictureLossIndication:
                if let request = try? PictureLossIndication(reading: packet) {
                    handle(.keyFrameRequest(ssrc: request.media))
                }
            case .fullIntraRequest:
                // The stream is named in the entries behind the two SSRCs, RFC 5104 §4.3.1.1.
                if packet.body.count >= 12 {
                    let ssrc = packet.body.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
                    handle(.keyFrameRequest(ssrc: UInt32(bigEndian: ssrc)))
                }
            default:
                break
            }
        }
    }

    // MARK: ICE and DTLS

    private func flushICE() {
        while let transmission = ice.nextTransmission() {
            transmission.bytes.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                _ = send(base, length: bytes.count, to: transmission.address)
            }
        }
    }

    private func drainDTLS() {
        while let output = dtls?.nextOutput() {
            switch output {
            case .transmit(let bytes):
                guard let path = ice.selectedPath else { continue }
                bytes.withUnsafeBytes { bytes in
                    guard let base = bytes.baseAddress else { return }
                    _ = send(base, length: bytes.count, to: path)
                }
            case .handshakeDone(let keying):
                guard let role = dtls?.role else { continue }
                do throws(SRTPError) {
                    srtp = try SRTPSession(keying: keying, localRole: role)
                } catch {
                    fail("SRTP cannot begin: \(error)")
                }
            case .applicationData: break
            case .closed: fail("the server closed the DTLS connection")
            case .failed(let error): fail("DTLS failed: \(error)")
            }
        }
    }

    private func fail(_ reason: String) {
        if failure == nil { failure = reason }
    }
}
