// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

internal import COpenSSLShims

/// What a DTLS connection wants done or has to tell, in order.
package enum DTLSOutput {
    /// Send one datagram, ``DTLSSession/datagramLimit`` bytes at most.
    case transmit([UInt8])
    /// The peer is who its session description says; media may flow. Comes once.
    case handshakeDone(SRTPKeyingMaterial)
    /// One record of application data: an SCTP packet (RFC 8261).
    case applicationData([UInt8])
    /// The peer closed the connection (close_notify).
    case closed
    /// Nothing more will come; no keys were or will be released when the handshake was not done.
    case failed(DTLSError)
}

/// One DTLS 1.2 connection without a socket and without a clock (RFC 6347, RFC 5764).
///
///     idle ─ start ─▶ handshaking ─▶ connected ─▶ closed
///                          └───────────────────────▲ failure, time limit, fingerprint
///
/// Give it datagrams and the time, then drain ``nextOutput()`` after each call. It belongs to one thread.
///
/// OpenSSL keeps about 21 KiB for a connection, mostly its read buffer, until this object goes; data channels need it.
package final class DTLSSession {
    /// Bytes of the largest datagram sent: fits every path that WebRTC endpoints use (RFC 8261 §5).
    package static let datagramLimit = 1_200
    /// Bytes of the largest message for ``send(_:)``: a datagram less record header, nonce and tag of AES-GCM.
    package static let messageLimit = datagramLimit - 13 - 8 - 16
    /// Bytes of the largest datagram looked at.
    package static let inputLimit = 2_048
    /// Time from start to keys.
    package static let handshakeLimitMilliseconds: UInt64 = 30_000
    /// Outputs kept for a caller that does not drain; what comes after is dropped like a lost datagram.
    package static let outputLimit = 256

    private enum State {
        case idle
        case handshaking
        case connected
        case closed
    }

    package let role: DTLSRole
    private let expected: CertificateFingerprint
    private let ssl: OpaquePointer
    private let input: OpaquePointer
    private let output: OpaquePointer
    private let context: DTLSContext

    private var state = State.idle
    private var failure: DTLSError?
    private var retransmitter = FlightRetransmitter()
    private var handshakeDeadline: MonotonicTime?
    private var outputs: [DTLSOutput] = []
    private var drained = 0

    /// - Parameters:
    ///   - role: .client after `a=setup:active` in our description, .server after `passive`.
    ///   - expected: the fingerprint in the peer's description.
    package init(context: DTLSContext, role: DTLSRole, expecting expected: CertificateFingerprint) throws(DTLSError) {
        ERR_clear_error()
        var input: OpaquePointer?
        var output: OpaquePointer?
        guard
            let ssl = COpenSSLShims_dtls_make_connection(context.context, Self.datagramLimit, &input, &output),
            let input, let output
        else { throw .fromLibrary(.makeConnection) }
        switch role {
        case .client: SSL_set_connect_state(ssl)
        case .server: SSL_set_accept_state(ssl)
        }
        self.role = role
        self.expected = expected
        self.ssl = ssl
        self.input = input
        self.output = output
        self.context = context
    }

    deinit {
        SSL_free(ssl)
    }

    package var isConnected: Bool { state == .connected }
    package var isClosed: Bool { state == .closed }

    /// When ``advance(to:)`` must be called next.
    package var nextDeadline: MonotonicTime? {
        guard state == .handshaking, let handshakeDeadline else { return nil }
        guard let repetition = retransmitter.deadline else { return handshakeDeadline }
        return min(repetition, handshakeDeadline)
    }

    /// Starts the time limit, and as a client sends the first flight. Call once a path to the peer is known.
    package func start(at now: MonotonicTime) {
        guard state == .idle else { return }
        state = .handshaking
        handshakeDeadline = now.advanced(byMilliseconds: Self.handshakeLimitMilliseconds)
        if role == .client { handshake(at: now) }
    }

    /// Takes one datagram. Bytes that are no record of this connection are dropped by OpenSSL without a word.
    package func receive(_ datagram: UnsafeRawBufferPointer, at now: MonotonicTime) -> Disposition {
        guard datagram.count <= Self.inputLimit else { return .dropped(.tooLong) }
        guard datagram.count >= DTLSRecords.headerLength else { return .dropped(.tooShort) }
        guard (20...23).contains(datagram[0]), datagram[1] == 0xFE else { return .dropped(.dtlsMalformed) }
        switch state {
        case .idle: return .dropped(.dtlsBeforeICE)
        case .closed: return .dropped(.dtlsFailed)
        case .handshaking, .connected: break
        }
        // One datagram at a time: leftovers would be read as the start of the next.
        COpenSSLShims_dtls_discard(input)
        guard BIO_write(input, datagram.baseAddress, Int32(datagram.count)) == Int32(datagram.count) else {
            return .dropped(.dtlsFailed)
        }
        if state == .handshaking { handshake(at: now) }
        if state == .connected { readApplicationData(at: now) }
        switch failure {
        case nil: return .accepted
        case .fingerprintMismatch: return .dropped(.dtlsFingerprintMismatch)
        case .library, .handshakeTimeout, .noSRTPProfile: return .dropped(.dtlsFailed)
        }
    }

    /// Sends one message of at most ``messageLimit`` bytes as one record.
    package func send(_ message: UnsafeRawBufferPointer) -> Disposition {
        guard state == .connected else { return .dropped(.sctpBeforeHandshake) }
        guard message.count <= Self.messageLimit else { return .dropped(.tooLong) }
        guard !message.isEmpty else { return .accepted }
        guard outputs.count - drained < Self.outputLimit else { return .dropped(.sendBufferFull) }
        ERR_clear_error()
        guard SSL_write(ssl, message.baseAddress, Int32(message.count)) == Int32(message.count) else {
            fail(.fromLibrary(.write))
            return .dropped(.dtlsFailed)
        }
        for datagram in collect() { emit(.transmit(datagram)) }
        return .accepted
    }

    /// Tells the peer that we go (close_notify) and takes nothing more.
    package func close() {
        if state == .connected { sendCloseNotify() }
        finish()
    }

    /// Does what is due: repeats a flight, or gives up.
    package func advance(to now: MonotonicTime) {
        guard state == .handshaking else { return }
        if let handshakeDeadline, now >= handshakeDeadline {
            fail(.handshakeTimeout)
            return
        }
        guard let deadline = retransmitter.deadline, now >= deadline else { return }
        repeatFlight(at: now)
    }

    /// The next thing to do; nil when there is none.
    package func nextOutput() -> DTLSOutput? {
        guard drained < outputs.count else {
            outputs.removeAll(keepingCapacity: false)
            drained = 0
            return nil
        }
        defer { drained += 1 }
        return outputs[drained]
    }

    // MARK: Handshake

    private func handshake(at now: MonotonicTime) {
        ERR_clear_error()
        setTimer(milliseconds: FlightRetransmitter.firstWaitMilliseconds)
        let result = SSL_do_handshake(ssl)
        let datagrams = collect()
        if result == 1 {
            finishHandshake(lastFlight: datagrams)
            return
        }
        // The alert, if there is one, is the peer's only way to learn of it.
        for datagram in datagrams { emit(.transmit(datagram)) }
        guard SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ else {
            fail(.fromLibrary(.handshake))
            return
        }
        if !datagrams.isEmpty { retransmitter.sent(datagrams, at: now) }
    }

    private func finishHandshake(lastFlight: [[UInt8]]) {
        guard let certificate = SSL_get1_peer_certificate(ssl) else {
            fail(.fingerprintMismatch)
            return
        }
        defer { X509_free(certificate) }
        guard let actual = CertificateFingerprint(certificate: certificate), actual.matches(expected) else {
            sendCloseNotify()
            fail(.fingerprintMismatch)
            return
        }
        do {
            let keying = try exportKeys()
            for datagram in lastFlight { emit(.transmit(datagram)) }
            state = .connected
            handshakeDeadline = nil
            // Should the peer repeat its last flight, OpenSSL answers with ours from what it keeps.
            retransmitter.stop()
            emit(.handshakeDone(keying))
        } catch {
            sendCloseNotify()
            fail(error)
        }
    }

    private func exportKeys() throws(DTLSError) -> SRTPKeyingMaterial {
        guard let selected = SSL_get_selected_srtp_profile(ssl),
            let profile = SRTPProfile(rawValue: UInt16(truncatingIfNeeded: selected.pointee.id))
        else { throw .noSRTPProfile }
        let label = "EXTRACTOR-dtls_srtp"
        ERR_clear_error()
        return try SRTPKeyingMaterial(profile: profile) { (bytes) throws(DTLSError) in
            let start = bytes.bindMemory(to: UInt8.self).baseAddress
            guard SSL_export_keying_material(ssl, start, bytes.count, label, label.utf8.count, nil, 0, 0) == 1 else {
                throw .fromLibrary(.exportKeys)
            }
        }
    }

    /// Has OpenSSL write the flight again under new record numbers.
    ///
    /// New numbers matter: a peer that has received our last flight but lost its own answer would take a copy of the
    /// old records for a replay and never answer. OpenSSL repeats only when its timer, which reads the wall clock, has
    /// expired too; should that clock have been set back, the kept datagrams go out as they were.
    private func repeatFlight(at now: MonotonicTime) {
        ERR_clear_error()
        setTimer(milliseconds: retransmitter.nextWaitMilliseconds)
        let result = COpenSSLShims_dtls_retransmit(ssl)
        let fresh = collect()
        guard result >= 0 else {
            fail(.fromLibrary(.handshake))
            return
        }
        for datagram in fresh.isEmpty ? retransmitter.flight : fresh { emit(.transmit(datagram)) }
        retransmitter.repeated(fresh.isEmpty ? nil : fresh, at: now)
    }

    /// OpenSSL's timer ends a little before ours, so that ours always finds it expired.
    private func setTimer(milliseconds: UInt64) {
        COpenSSLShims_dtls_set_timer_microseconds(ssl, UInt32(milliseconds - 10) * 1_000)
    }

    // MARK: Connected

    private func readApplicationData(at now: MonotonicTime) {
        withUnsafeTemporaryAllocation(byteCount: Self.inputLimit, alignment: 8) { buffer in
            while state == .connected {
                ERR_clear_error()
                let count = SSL_read(ssl, buffer.baseAddress, Int32(buffer.count))
                guard count > 0 else {
                    readStopped(SSL_get_error(ssl, count))
                    return
                }
                emit(.applicationData([UInt8](buffer[0..<Int(count)])))
            }
        }
    }

    private func readStopped(_ reason: Int32) {
        // The answer to a repeated last flight of the peer is written while reading.
        for datagram in collect() { emit(.transmit(datagram)) }
        switch reason {
        case SSL_ERROR_WANT_READ:
            return
        case SSL_ERROR_ZERO_RETURN:
            sendCloseNotify()
            emit(.closed)
            finish()
        default:
            fail(.fromLibrary(.read))
        }
    }

    private func sendCloseNotify() {
        ERR_clear_error()
        _ = SSL_shutdown(ssl)
        for datagram in collect() { emit(.transmit(datagram)) }
    }

    // MARK: Ends

    private func fail(_ error: DTLSError) {
        failure = error
        emit(.failed(error))
        finish()
    }

    private func finish() {
        state = .closed
        handshakeDeadline = nil
        retransmitter.stop()
    }

    /// What OpenSSL has written since the last call, as datagrams.
    private func collect() -> [[UInt8]] {
        var bytes: UnsafeRawPointer?
        let count = COpenSSLShims_dtls_pending(output, &bytes)
        guard count > 0, let bytes else { return [] }
        defer { COpenSSLShims_dtls_discard(output) }
        return DTLSRecords.datagrams(
            UnsafeRawBufferPointer(start: bytes, count: count), limit: Self.datagramLimit)
    }

    private func emit(_ output: DTLSOutput) {
        switch output {
        case .transmit, .applicationData:
            guard outputs.count - drained < Self.outputLimit else { return }
        case .handshakeDone, .closed, .failed:
            break
        }
        outputs.append(output)
    }
}
