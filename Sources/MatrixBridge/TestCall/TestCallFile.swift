// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import NIOHTTP1

/// One file of the test-call page, as it lies in the binary.
struct TestCallFile: Sendable {
    /// Below `/test/`; empty for the page itself.
    let name: String
    let contentType: String
    let body: [UInt8]
    /// Strong entity tag, RFC 9110 §8.8.3: a new version of the program is a new page at once.
    let entityTag: String

    private init(_ name: String, _ contentType: String, _ body: [UInt8]) {
        self.name = name
        self.contentType = contentType
        self.body = body
        let digest = SecureHash.sha256(body).prefix(12).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
        entityTag = "\"\(digest.joined())\""
    }

    static let all = [
        TestCallFile("", "text/html; charset=utf-8", PackageResources.index_html),
        TestCallFile("style.css", "text/css; charset=utf-8", PackageResources.style_css),
        script("page.js", PackageResources.page_js),
        script("run.js", PackageResources.run_js),
        script("participant.js", PackageResources.participant_js),
        script("signal.js", PackageResources.signal_js),
        script("devices.js", PackageResources.devices_js),
        script("paths.js", PackageResources.paths_js),
        script("verdict.js", PackageResources.verdict_js),
    ]

    private static func script(_ name: String, _ body: [UInt8]) -> TestCallFile {
        TestCallFile(name, "text/javascript; charset=utf-8", body)
    }

    /// Nothing from elsewhere, nothing inline, nobody's frame. `'self'` covers the WebSocket of the same origin.
    private static let policy = """
        default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; media-src 'self' blob:; \
        img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'
        """

    /// The file, or 304 to a browser that has it. Always asked for: a cached page of an older program would speak of
    /// things that are no more.
    func answer(to request: HTTPRequest) -> HTTPResponse {
        var headers: HTTPHeaders = [
            "Cache-Control": "no-cache",
            "ETag": entityTag,
            "Content-Security-Policy": Self.policy,
            "Permissions-Policy": "camera=(self), microphone=(self)",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        ]
        let known = request.headers[canonicalForm: "If-None-Match"]
        // A proxy that compresses makes the tag a weak one.
        if known.contains(where: { $0 == entityTag || $0 == "W/" + entityTag }) {
            return HTTPResponse(status: .notModified, headers: headers)
        }
        headers.add(name: "Content-Type", value: contentType)
        return HTTPResponse(status: .ok, headers: headers, body: body)
    }
}
