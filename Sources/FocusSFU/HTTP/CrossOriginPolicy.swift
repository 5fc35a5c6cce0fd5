// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOHTTP1

/// The CORS fields that let a page of any origin use an answer, error or not. WHATWG Fetch §3.2.
///
/// Applied to every answer: without the fields on a 401 or 404 a browser hides the status from its page, and the client
/// reports an unreachable server instead of the reason.
package struct CrossOriginPolicy: Equatable, Sendable {
    /// Methods a page may use.
    package var methods: [String]
    /// Request fields a page may set.
    package var requestHeaders: [String]
    /// Whether a preflight that names its fields gets the same list back, in place of ``requestHeaders``.
    package var mirrorsRequestedHeaders: Bool
    /// How long a preflight may be cached, seconds.
    package var maxAgeSeconds: Int

    package init(
        methods: [String] = ["OPTIONS", "HEAD", "GET", "POST", "PATCH", "DELETE", "PUT"],
        requestHeaders: [String] = [
            "Accept", "Content-Type", "Content-Length", "Accept-Encoding", "X-CSRF-Token", "Authorization",
        ],
        mirrorsRequestedHeaders: Bool = true,
        maxAgeSeconds: Int = 86_400
    ) {
        self.methods = methods
        self.requestHeaders = requestHeaders
        self.mirrorsRequestedHeaders = mirrorsRequestedHeaders
        self.maxAgeSeconds = maxAgeSeconds
    }

    /// Sets the fields, each exactly once: browsers refuse an answer with two origin fields.
    ///
    /// `requested` is `Access-Control-Request-Headers` of the request, when it had one.
    func apply(to headers: inout HTTPHeaders, requested: String?) {
        headers.replaceOrAdd(name: "Access-Control-Allow-Origin", value: "*")
        headers.replaceOrAdd(name: "Access-Control-Allow-Methods", value: methods.joined(separator: ", "))
        headers.replaceOrAdd(name: "Access-Control-Expose-Headers", value: "*")
        headers.replaceOrAdd(name: "Access-Control-Max-Age", value: String(maxAgeSeconds))
        if mirrorsRequestedHeaders, let requested, Self.isFieldNameList(requested) {
            headers.replaceOrAdd(name: "Access-Control-Allow-Headers", value: requested)
            headers.add(name: "Vary", value: "Access-Control-Request-Headers")
        } else {
            headers.replaceOrAdd(name: "Access-Control-Allow-Headers", value: requestHeaders.joined(separator: ", "))
        }
    }

    /// At most 4 KiB of field names and separators, so nothing else is ever mirrored.
    private static func isFieldNameList(_ text: String) -> Bool {
        let bytes = text.utf8
        return !bytes.isEmpty && bytes.count <= 4096
            && bytes.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ","),
                    UInt8(ascii: " "):
                    true
                default:
                    false
                }
            }
    }
}
