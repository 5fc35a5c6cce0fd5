// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc

@testable import FocusSFU

/// One peer connection of a client on a loopback socket: full ICE agent's checks, DTLS, SRTP, SCTP.
final class SimulatedConnection {
    struct Media: Equatable {
        var ssrc: UInt32
        var payloadType: UInt8
        var sequence: UInt16
        var timestamp: UInt32
        var marker: Bool
        var payload: [UInt8]
    }

    /// RTCP that came, in order.
    enum Control: Equatable {
        case senderReport(SenderReport)
        case receiverReport(ReceiverReport)
        case description(SourceDescription)
        case nack(media: UInt32, sequences: [UInt16])
        case pictureLoss(media: UInt32)
        case transportFeedback(media: UInt32)
        case other
    }

    private static let certificate = Result {
        try DTLSContext(certificate: DTLSCertificate(unixTimeSeconds: 1_800_000_000))
    }

    /// A pipe that SCTP's timer thread writes to when there is output. The callback keeps it open.
    final class Wakeup: Sendable {
        let output: Int32
        private let input: Int32

        init() throws {
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { throw SocketError(call: "pipe", errno: errno) }
            for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
            (output, input) = (ends[0], ends[1])
        }

        deinit {
            close(output)
            close(input)
        }

        func wake() {
            _ = write(input, [1], 1)
        }
    }

    let socket: Int32
    let wakeup: Wakeup
    let context: DTLSContext
    private(set) var credentials = ICECredentials(randomBytes: Random.bytes(ICECredentials.randomByteCount))
    private(set) var remoteUsernameFragment = ""
    private var remotePassword = ""
    private var remoteAddress = NetworkAddress(high: 0, low: 0, port: 0)
    private var transaction = STUNMessage.TransactionID(high: 1, low: 1)
    private var lastCheck: MonotonicTime?
    private(set) var isPathConfirmed = false
    private(set) var checksAnswered = 0
    /// DTLS datagrams are kept for ``releaseHeld()`` instead of sent.
    var holdsRecords = false
    private var held: [UInt8] = []
    /// Silent connections stop checking and answering, like a machine that fell asleep.
    var isSilent = false

    private(set) var dtls: DTLSSession?
    private var srtp: SRTPSession?
    private(set) var isClosedByPeer = false
    private(set) var failure: DTLSError?

    private var sendStates: [UInt32: SRTPStreamState] = [:]
    private var receiveStates: [UInt32: SRTPReceiveStreamState] = [:]
    private(set) var refused: [DropReason] = []
    var media: [Media] = []
    /// Media for which it is true never arrives: SSRC and sequence number.
    var loses: (UInt32, UInt16) -> Bool = { _, _ in false }
    var control: [Control] = []

    /// Opened once the association is made.
    var labelsToOpen: [DataChannelParameters] = []
    /// Whether descriptions have a section for data, so that there is an association.
    private(set) var hasDataSection = true
    private(set) var channels: DataChannels?
    private(set) var channelIDs: [String: UInt16] = [:]
    private(set) var labels: [UInt16: String] = [:]
    private(set) var messages: [(label: String, bytes: [UInt8])] = []

    init() throws {
        context = try Self.certificate.get()
        socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        wakeup = try Wakeup()
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw SocketError(call: "bind", errno: errno) }
    }

    deinit {
        channels?.closeAssociation()
        close(socket)
    }

    var isConnected: Bool { srtp != nil }
    var remotePort: UInt16 { remoteAddress.port }
    var hasRemote: Bool { dtls != nil }

    /// Replaces the transport lines of a sample description by this connection's own.
    func described(_ text: String, setup: String = "actpass") -> String {
        text.replacing(SDPSamples.fingerprint, with: context.fingerprint.hexadecimal)
            .replacing("ice-ufrag:cLnt", with: "ice-ufrag:\(credentials.usernameFragment)")
            .replacing("ice-pwd:clientpasswordclientpw00", with: "ice-pwd:\(credentials.password)")
            .replacing("setup:actpass", with: "setup:\(setup)")
    }

    /// New credentials for the next offer: an ICE restart.
    func restart() {
        credentials = ICECredentials(randomBytes: Random.bytes(ICECredentials.randomByteCount))
    }

    /// Takes the server's description; DTLS begins as soon as a check is answered.
    func apply(_ remote: SessionText, role: DTLSRole, at now: MonotonicTime) throws {
        let fragment = remote.transportValue("ice-ufrag") ?? ""
        if fragment != remoteUsernameFragment { isPathConfirmed = false }
        remoteUsernameFragment = fragment
        remotePassword = remote.transportValue("ice-pwd") ?? ""
        if let fields = remote.transportValue("candidate")?.split(separator: " "), fields.count > 5,
            let address = NetworkAddress(String(fields[4]), port: UInt16(fields[5]) ?? 0)
        {
            remoteAddress = address
        }
        if dtls == nil {
            let digits = remote.transportValue("fingerprint")?.split(separator: " ").last ?? ""
            guard let fingerprint = CertificateFingerprint(hexadecimal: digits) else {
                throw DTLSError.fingerprintMismatch
            }
            dtls = try DTLSSession(context: context, role: role, expecting: fingerprint)
        }
        lastCheck = nil
        advance(to: now)
    }

    // MARK: Sending

    func sendDatagram(_ bytes: [UInt8]) {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = remoteAddress.port.bigEndian
        address.sin_addr.s_addr = remoteAddress.ipv4.bigEndian
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                _ = sendto(socket, bytes, bytes.count, 0, pointer, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// A check as a controlling agent sends it, with a say in what is wrong about it.
    func check(username: String? = nil, password: String? = nil) -> [UInt8] {
        transaction.low &+= 1
        var writer = ByteWriter()
        writer.writeSTUNHeader(.request, transactionID: transaction)
        writer.writeSTUNUsername((username ?? "\(remoteUsernameFragment):\(credentials.usernameFragment)").utf8)
        writer.writeSTUNPriority(1_845_501_695)
        writer.writeSTUNRole(.controlling(7))
        writer.writeSTUNUseCandidate()
        writer.writeMessageIntegrity(key: Array((password ?? remotePassword).utf8))
        writer.writeSTUNFingerprint()
        return writer.bytes
    }

    /// Protects and sends one RTP packet; returns the bytes on the wire, for replays.
    @discardableResult
    func sendRTP(
        _ packet: Media, extensions: [(id: UInt8, value: [UInt8])] = [], padding: Int = 0, isLost: Bool = false
    ) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 2048)
        let length = bytes.withUnsafeMutableBytes { memory -> Int in
            guard let srtp, let base = memory.baseAddress else { return 0 }
            var length = PacketWriter.writeHeader(
                into: base, payloadType: packet.payloadType, marker: packet.marker, sequence: packet.sequence,
                timestamp: packet.timestamp, ssrc: packet.ssrc, extensionID: 0,
                extensionValue: UnsafeRawBufferPointer(start: nil, count: 0))
            var writer = HeaderExtensionWriter(UnsafeMutableRawBufferPointer(rebasing: memory[12...]))
            for element in extensions { _ = element.value.withUnsafeBytes { writer.append(id: element.id, value: $0) } }
            let extensionLength = writer.finish()
            if extensionLength > 0 { memory[0] |= 0x10 }
            length += extensionLength
            for byte in packet.payload {
                memory[length] = byte
                length += 1
            }
            if padding > 0 {
                memory[0] |= 0x20
                for _ in 0..<padding {
                    memory[length] = UInt8(padding)
                    length += 1
                }
            }
            return srtp.sender.protect(
                packet: base, length: length, capacity: memory.count,
                state: &sendStates[packet.ssrc, default: SRTPStreamState()])
        }
        let wire = Array(bytes.prefix(length))
        if !isLost { sendDatagram(wire) }
        return wire
    }

    @discardableResult
    func sendRTCP(_ write: (inout ByteWriter) -> Void) -> [UInt8] {
        var writer = ByteWriter()
        write(&writer)
        var bytes = writer.bytes + [UInt8](repeating: 0, count: SRTPProfile.maximumOverhead + 16)
        let length = bytes.withUnsafeMutableBytes { memory -> Int in
            guard let srtp, let base = memory.baseAddress else { return 0 }
            return srtp.sender.protectRTCP(packet: base, length: writer.count, capacity: memory.count)
        }
        let wire = Array(bytes.prefix(length))
        sendDatagram(wire)
        return wire
    }

    func send(_ bytes: [UInt8], label: String) -> SCTPSendResult? {
        guard let channels, let id = channelIDs[label] else { return nil }
        defer { drain() }
        return bytes.withUnsafeBytes { channels.send($0, kind: .binary, on: id) }
    }

    /// Sends close_notify.
    func closeDTLS() {
        dtls?.close()
        drain()
    }

    // MARK: Time and datagrams

    func advance(to now: MonotonicTime) {
        guard hasRemote, !isSilent else { return }
        let interval: UInt64 = isPathConfirmed ? 2_000 : 100
        if lastCheck.map({ now.milliseconds(since: $0) >= interval }) ?? true {
            lastCheck = now
            sendDatagram(check())
        }
        if let deadline = dtls?.nextDeadline, now >= deadline { dtls?.advance(to: now) }
        drain()
    }

    func receive(at now: MonotonicTime) {
        var buffer = [UInt8](repeating: 0, count: 4096)
        _ = read(wakeup.output, &buffer, buffer.count)
        while true {
            let length = recv(socket, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            guard length > 0 else { break }
            if isSilent { continue }
            buffer.withUnsafeMutableBytes { memory in
                dispatch(UnsafeMutableRawBufferPointer(rebasing: memory[..<length]), at: now)
            }
        }
        drain()
    }

    private func dispatch(_ datagram: UnsafeMutableRawBufferPointer, at now: MonotonicTime) {
        switch datagram[0] {
        case 0...3: receiveSTUN(UnsafeRawBufferPointer(datagram), at: now)
        case 20...63: _ = dtls?.receive(UnsafeRawBufferPointer(datagram), at: now)
        case 128...191 where (192...223).contains(datagram[1]): receiveRTCP(datagram)
        case 128...191: receiveRTP(datagram)
        default: refused.append(.unknownProtocol)
        }
    }

    private func receiveSTUN(_ datagram: UnsafeRawBufferPointer, at now: MonotonicTime) {
        guard let message = try? STUNMessage(reading: datagram), message.messageClass == .successResponse,
            let offset = message.integrityOffset,
            MessageIntegrity.isValid(datagram, at: offset, key: Array(remotePassword.utf8))
        else { return }
        checksAnswered += 1
        guard !isPathConfirmed else { return }
        isPathConfirmed = true
        dtls?.start(at: now)
    }

    private func receiveRTP(_ datagram: UnsafeMutableRawBufferPointer) {
        guard let srtp, let base = datagram.baseAddress, datagram.count >= 12 else { return }
        let ssrc = UInt32(bigEndian: datagram.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        let sequence = UInt16(bigEndian: datagram.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        guard !loses(ssrc, sequence) else { return }
        let result = srtp.receiver.unprotect(
            packet: base, length: datagram.count, state: &receiveStates[ssrc, default: SRTPReceiveStreamState()])
        guard case .accepted(let length) = result else {
            if case .refused(let reason) = result { refused.append(reason) }
            return
        }
        let packet = UnsafeRawBufferPointer(start: base, count: length)
        guard let header = try? RTPHeader(reading: packet) else { return refused.append(.rtpMalformed) }
        media.append(
            Media(
                ssrc: ssrc, payloadType: header.payloadType, sequence: header.sequence, timestamp: header.timestamp,
                marker: header.marker, payload: Array(header.payload(of: packet))))
    }

    private func receiveRTCP(_ datagram: UnsafeMutableRawBufferPointer) {
        guard let srtp, let base = datagram.baseAddress else { return }
        let result = srtp.receiver.unprotectRTCP(packet: base, length: datagram.count)
        guard case .accepted(let length) = result else {
            if case .refused(let reason) = result { refused.append(reason) }
            return
        }
        guard let compound = try? RTCPCompound(UnsafeRawBufferPointer(start: base, count: length)) else {
            return refused.append(.rtcpMalformed)
        }
        for packet in compound { control.append(Self.control(packet)) }
    }

    private static func control(_ packet: RTCPPacket) -> Control {
        func ssrc(at offset: Int) -> UInt32 {
            packet.body.count >= offset + 4
                ? UInt32(bigEndian: packet.body.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) : 0
        }
        switch packet.kind {
        case .senderReport: return (try? SenderReport(reading: packet)).map(Control.senderReport) ?? .other
        case .receiverReport: return (try? ReceiverReport(reading: packet)).map(Control.receiverReport) ?? .other
        case .sourceDescription: return (try? SourceDescription(reading: packet)).map(Control.description) ?? .other
        case .genericNACK:
            return (try? GenericNACK(reading: packet)).map { .nack(media: $0.media, sequences: Array($0)) } ?? .other
        case .pictureLossIndication: return .pictureLoss(media: ssrc(at: 4))
        case .transportFeedback: return .transportFeedback(media: ssrc(at: 4))
        default: return .other
        }
    }

    // MARK: DTLS and SCTP

    /// Sends all DTLS datagrams held back as one.
    func releaseHeld() {
        holdsRecords = false
        sendDatagram(held)
        held = []
    }

    /// Lets DTLS and SCTP feed each other until both are quiet.
    private func drain() {
        repeat { drainDTLS() } while drainChannels()
    }

    private func drainDTLS() {
        while let output = dtls?.nextOutput() {
            switch output {
            case .transmit(let bytes):
                if holdsRecords { held += bytes } else if !isSilent { sendDatagram(bytes) }
            case .handshakeDone(let keying):
                guard let dtls else { continue }
                srtp = try? SRTPSession(keying: keying, localRole: dtls.role)
                if hasDataSection { openChannels(role: dtls.role) }
            case .applicationData(let bytes):
                _ = bytes.withUnsafeBytes { channels?.receive($0) }
            case .closed: isClosedByPeer = true
            case .failed(let error): failure = error
            }
        }
    }

    /// Before the first description.
    func removeDataSection() {
        hasDataSection = false
    }

    /// With DTLS up, as a client whose application opens its first channel late.
    func addDataSection() {
        hasDataSection = true
        if let dtls, isConnected { openChannels(role: dtls.role) }
        drain()
    }

    private func openChannels(role: DTLSRole) {
        let wakeup = wakeup
        guard
            let association = try? SCTPAssociation(onReady: { _ in
                wakeup.wake()
            })
        else { return }
        let channels = DataChannels(role: role, association: association)
        self.channels = channels
        channels.connect()
        for parameters in labelsToOpen { _ = try? channels.open(parameters) }
    }

    /// True when packets went to DTLS.
    private func drainChannels() -> Bool {
        guard let channels, let dtls else { return false }
        var hasSent = false
        while let output = channels.nextOutput() {
            switch output {
            case .transmit(let packet):
                _ = packet.withUnsafeBytes { dtls.send($0) }
                hasSent = true
            case .opened(let channel):
                labels[channel.id] = channel.parameters.label
                channelIDs[channel.parameters.label] = channel.id
            case .message(let channel, _, let bytes):
                messages.append((labels[channel] ?? "", bytes))
            case .closed(let channel):
                if let label = labels.removeValue(forKey: channel) { channelIDs[label] = nil }
            case .connected, .refused, .associationClosed:
                break
            }
        }
        return hasSent
    }
}
