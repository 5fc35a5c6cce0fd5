// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COpenSSLShims
import Glibc

/// TLS 1.2 or newer over a TCP connection of ours, with the server's certificate verified against the system's
/// authorities and its name.
final class TLSStream {
    private let socket: TimedSocket
    private let context: OpaquePointer
    private let session: OpaquePointer

    /// - Parameter host: The name or address that the certificate must be for.
    init(over socket: TimedSocket, host: String, by deadline: Deadline) throws(SocketFault) {
        guard let context = SSL_CTX_new(TLS_client_method()) else { throw .failed("OpenSSL gives no context") }
        guard let session = SSL_new(context) else {
            SSL_CTX_free(context)
            throw .failed("OpenSSL gives no session")
        }
        self.socket = socket
        self.context = context
        self.session = session
        SSL_CTX_set_default_verify_paths(context)
        let isAddress = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host) == 1
        var isReady = COpenSSLShims_setMinimumTLS12(session) == 1 && SSL_set_fd(session, socket.descriptor) == 1
        if !isAddress {
            isReady = isReady && SSL_set1_host(session, host) == 1 && COpenSSLShims_setServerName(session, host) == 1
        }
        SSL_set_verify(session, SSL_VERIFY_PEER, nil)
        guard isReady else { throw .failed("OpenSSL refuses the settings of the session") }
        try repeating(by: deadline) { SSL_connect(session) }
    }

    deinit {
        SSL_free(session)
        SSL_CTX_free(context)
    }

    func write(_ bytes: [UInt8], by deadline: Deadline) throws(SocketFault) {
        guard !bytes.isEmpty else { return }
        try repeating(by: deadline) { SSL_write(session, bytes, Int32(clamping: bytes.count)) }
    }

    func read(by deadline: Deadline) throws(SocketFault) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 16_384)
        let count = try repeating(by: deadline) { SSL_read(session, &buffer, Int32(buffer.count)) }
        return Array(buffer.prefix(Int(count)))
    }

    /// Does it again whenever OpenSSL wants to read or write first.
    @discardableResult
    private func repeating(by deadline: Deadline, _ call: () -> Int32) throws(SocketFault) -> Int32 {
        while true {
            ERR_clear_error()
            let result = call()
            guard result <= 0 else { return result }
            switch SSL_get_error(session, result) {
            case SSL_ERROR_WANT_READ:
                guard deadline.wait(for: socket.descriptor, toWrite: false) else { throw .timedOut }
            case SSL_ERROR_WANT_WRITE:
                guard deadline.wait(for: socket.descriptor, toWrite: true) else { throw .timedOut }
            case SSL_ERROR_ZERO_RETURN:
                throw .ended
            default:
                throw .failed(reason)
            }
        }
    }

    private var reason: String {
        let verification = SSL_get_verify_result(session)
        if verification != Int(X509_V_OK) {
            return "the certificate is not accepted (\(String(cString: X509_verify_cert_error_string(verification))))"
        }
        let code = ERR_peek_last_error()
        guard code != 0, let text = ERR_reason_error_string(code) else { return "TLS ended without a reason" }
        return "TLS failed (\(String(cString: text)))"
    }
}
