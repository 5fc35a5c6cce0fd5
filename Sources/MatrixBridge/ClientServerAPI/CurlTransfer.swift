// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CCurl
import Foundation

/// One transfer on an easy handle of libcurl. Made, driven and finished on the client's thread.
final class CurlTransfer {
    let easy: UnsafeMutableRawPointer
    private let request: HTTPClientRequest
    private let continuation: HTTPClientContinuation
    private var fields: UnsafeMutablePointer<curl_slist>?
    private var connectTo: UnsafeMutablePointer<curl_slist>?
    private var headers: [HTTPClientField] = []
    private var headerByteCount = 0
    private var body: [UInt8] = []
    private var exceedsLimit = false
    private var refusedAddress = false

    /// Field lines together; more is not a homeserver's answer.
    private static let maximumHeaderByteCount = 64 << 10

    /// Nil when the library refuses an option.
    init?(request: HTTPClientRequest, verifiesCertificates: Bool, continuation: HTTPClientContinuation) {
        guard let easy = curl_easy_init() else { return nil }
        self.easy = easy
        self.request = request
        self.continuation = continuation
        // From here on `deinit` frees what was made.
        guard setBasics(verifiesCertificates: verifiesCertificates), setBody(), setCallbacks() else { return nil }
    }

    deinit {
        curl_easy_cleanup(easy)
        curl_slist_free_all(fields)
        curl_slist_free_all(connectTo)
    }

    /// Answers the waiting task; called once, after the handle has left the multi handle.
    func finish(_ outcome: Result<HTTPClientResponse, HTTPClientError>) {
        continuation.resume(returning: outcome)
    }

    func outcome(_ code: CURLcode) -> Result<HTTPClientResponse, HTTPClientError> {
        guard code == CURLE_OK else { return .failure(error(code)) }
        var status = 0
        CCurl_getLong(easy, CURLINFO_RESPONSE_CODE, &status)
        return .success(HTTPClientResponse(status: status, headers: headers, body: body))
    }

    private func error(_ code: CURLcode) -> HTTPClientError {
        let detail = String(cString: curl_easy_strerror(code))
        return switch code {
        case _ where exceedsLimit: .bodyTooLarge(limit: request.maximumBodyByteCount)
        case _ where refusedAddress: .addressRefused
        case CURLE_OPERATION_TIMEDOUT: .timedOut
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: .nameNotResolved
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE:
            .tlsFailed(detail)
        case CURLE_TOO_MANY_REDIRECTS: .tooManyRedirects
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: .invalidRequest(detail)
        default: .connectionFailed(detail)
        }
    }

    private func setBasics(verifiesCertificates: Bool) -> Bool {
        // A line break in a field would let its value add fields of its own.
        guard request.headers.allSatisfy({ !"\($0.name)\($0.value)".utf8.contains { $0 == 10 || $0 == 13 || $0 == 0 } })
        else { return false }
        var results = [
            CCurl_setString(easy, CURLOPT_URL, request.url),
            CCurl_setString(easy, CURLOPT_PROTOCOLS_STR, "http,https"),
            CCurl_setString(easy, CURLOPT_REDIR_PROTOCOLS_STR, "https"),
            CCurl_setLong(easy, CURLOPT_FOLLOWLOCATION, request.maximumRedirects > 0 ? 1 : 0),
            CCurl_setLong(easy, CURLOPT_MAXREDIRS, request.maximumRedirects),
            CCurl_setLong(easy, CURLOPT_TIMEOUT_MS, max(1, request.timeoutMilliseconds)),
            CCurl_setLong(easy, CURLOPT_NOSIGNAL, 1),
            CCurl_setString(easy, CURLOPT_PROXY, ""),
            CCurl_setLong(easy, CURLOPT_SSL_VERIFYPEER, verifiesCertificates ? 1 : 0),
            CCurl_setLong(easy, CURLOPT_SSL_VERIFYHOST, verifiesCertificates ? 2 : 0),
            CCurl_setString(easy, CURLOPT_CUSTOMREQUEST, request.method.rawValue),
        ]
        for field in request.headers {
            fields = curl_slist_append(fields, "\(field.name): \(field.value)")
        }
        // The library would wait for a 100 before a longer body.
        fields = curl_slist_append(fields, "Expect:")
        results.append(CCurl_setList(easy, CURLOPT_HTTPHEADER, fields))
        if let endpoint = request.endpoint {
            let host = endpoint.host.contains(":") ? "[\(endpoint.host)]" : endpoint.host
            connectTo = curl_slist_append(nil, "::\(host):\(endpoint.port)")
            results.append(CCurl_setList(easy, CURLOPT_CONNECT_TO, connectTo))
        }
        return results.allSatisfy { $0 == CURLE_OK }
    }

    private func setBody() -> Bool {
        // Without a body the custom request name alone makes a GET of it, which carries none.
        guard request.body != nil || request.method == .post else { return true }
        let body = request.body ?? []
        let size = CCurl_setOffset(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
        let bytes = body.isEmpty ? [0] : body
        let copied = bytes.withUnsafeBytes {
            CCurl_setPointer(easy, CURLOPT_COPYPOSTFIELDS, UnsafeMutableRawPointer(mutating: $0.baseAddress))
        }
        return size == CURLE_OK && copied == CURLE_OK
    }

    /// The callbacks get an unretained reference to `self`. They run only inside `curl_multi_perform` while the handle
    /// is in the multi handle, and the client keeps the transfer alive exactly that long.
    private func setCallbacks() -> Bool {
        let context = Unmanaged.passUnretained(self).toOpaque()
        var results = [
            CCurl_setPointer(easy, CURLOPT_WRITEDATA, context),
            CCurl_setByteSink(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
                CurlTransfer.at(context)?.receiveBody(bytes, size &* count) ?? 0
            },
            CCurl_setPointer(easy, CURLOPT_HEADERDATA, context),
            CCurl_setByteSink(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
                CurlTransfer.at(context)?.receiveHeader(bytes, size &* count) ?? 0
            },
        ]
        if request.addresses == .publicOnly {
            // A connection that an unguarded request opened must not be reused, nor this one by another host's name.
            results.append(CCurl_setLong(easy, CURLOPT_FRESH_CONNECT, 1))
            results.append(CCurl_setLong(easy, CURLOPT_FORBID_REUSE, 1))
            results.append(CCurl_setPointer(easy, CURLOPT_OPENSOCKETDATA, context))
            results.append(
                CCurl_setOpenSocket(easy) { context, _, address in
                    guard let address, let transfer = CurlTransfer.at(context) else { return CCurl_badSocket() }
                    return transfer.openSocket(address)
                })
        }
        return results.allSatisfy { $0 == CURLE_OK }
    }

    private static func at(_ context: UnsafeMutableRawPointer?) -> CurlTransfer? {
        context.map { Unmanaged<CurlTransfer>.fromOpaque($0).takeUnretainedValue() }
    }

    /// - Returns: `count` to go on, less to end the transfer.
    private func receiveBody(_ bytes: UnsafeMutablePointer<CChar>?, _ count: Int) -> Int {
        guard body.count + count <= request.maximumBodyByteCount else {
            exceedsLimit = true
            return 0
        }
        body.append(contentsOf: UnsafeRawBufferPointer(start: bytes, count: count))
        return count
    }

    private func receiveHeader(_ bytes: UnsafeMutablePointer<CChar>?, _ count: Int) -> Int {
        headerByteCount += count
        guard headerByteCount <= Self.maximumHeaderByteCount else {
            exceedsLimit = true
            return 0
        }
        let line = String(decoding: UnsafeRawBufferPointer(start: bytes, count: count), as: UTF8.self)
        // A status line starts a new answer: after a redirect only the last one counts.
        if line.hasPrefix("HTTP/") {
            headers = []
            body = []
        } else if let colon = line.firstIndex(of: ":") {
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespacesAndNewlines)
            headers.append(HTTPClientField(String(line[..<colon]), value))
        }
        return count
    }

    private func openSocket(_ address: UnsafeMutablePointer<curl_sockaddr>) -> curl_socket_t {
        guard isPublic(address) else {
            refusedAddress = true
            return CCurl_badSocket()
        }
        refusedAddress = false
        let kind = address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue)
        return socket(address.pointee.family, kind, address.pointee.protocol)
    }

    private func isPublic(_ address: UnsafeMutablePointer<curl_sockaddr>) -> Bool {
        guard let offset = MemoryLayout<curl_sockaddr>.offset(of: \.addr) else { return false }
        // The library keeps room for the largest address behind the generic one it declares.
        let bytes = UnsafeRawBufferPointer(
            start: UnsafeRawPointer(address) + offset, count: Int(min(address.pointee.addrlen, 128)))
        switch address.pointee.family {
        case AF_INET where bytes.count >= 8: return PublicAddressRule.allows(bytes[4..<8])
        case AF_INET6 where bytes.count >= 24: return PublicAddressRule.allows(bytes[8..<24])
        default: return false
        }
    }
}
