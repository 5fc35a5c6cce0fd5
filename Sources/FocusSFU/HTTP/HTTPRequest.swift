// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import NIOHTTP1

/// One complete HTTP/1.1 request: head and bounded body, as a value.
package struct HTTPRequest: Sendable {
    /// One `name=value` pair of the query, both percent-decoded.
    package struct QueryItem: Equatable, Sendable {
        package var name: String
        package var value: String
    }

    package var method: HTTPMethod
    /// The path as it was sent, still percent-encoded, several leading slashes collapsed to one.
    ///
    /// NOTE: clients that are configured with a trailing slash ask for `//rtc`.
    package var path: String
    /// The text behind the first `?`, undecoded; empty without a query.
    package var query: String
    /// In order of appearance. A pair that is not valid percent-encoded UTF-8 is left out.
    package var queryItems: [QueryItem]
    package var headers: HTTPHeaders
    package var body: [UInt8]
    /// The IP address of the socket's peer, which behind a reverse proxy is the proxy; empty when unknown.
    package var remoteAddress: String

    /// Reads the target in origin form (`/path?query`), absolute form or `*`; RFC 9112 §3.2.
    package init(
        method: HTTPMethod,
        target: String,
        headers: HTTPHeaders = [:],
        body: [UInt8] = [],
        remoteAddress: String = ""
    ) {
        let origin = Self.originForm(of: target)
        let mark = origin.firstIndex(of: "?")
        let rawPath = origin[..<(mark ?? origin.endIndex)]
        let query = mark.map { origin[origin.index(after: $0)...] } ?? ""
        self.method = method
        self.path = Self.collapsingLeadingSlashes(rawPath)
        self.query = String(query)
        self.queryItems = Self.items(of: query)
        self.headers = headers
        self.body = body
        self.remoteAddress = remoteAddress
    }

    /// The value of the first query item with this name.
    package func queryValue(_ name: String) -> String? {
        queryItems.first { $0.name == name }?.value
    }

    /// The path cut at its slashes, each piece percent-decoded; `/` has none and `/a/` has `["a", ""]`.
    ///
    /// Nil when a piece is not valid percent-encoded UTF-8.
    package var pathSegments: [String]? {
        guard path != "/" else { return [] }
        var segments: [String] = []
        for piece in path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            guard let segment = PercentEncoding.decoded(piece, plusIsSpace: false) else { return nil }
            segments.append(segment)
        }
        return segments
    }

    /// Whether the request asks for a WebSocket: `GET`, `Connection: upgrade`, `Upgrade: websocket`. RFC 6455 §4.2.1.
    package var isWebSocketUpgrade: Bool {
        method == .GET
            && headers[canonicalForm: "Connection"].contains { $0.lowercased() == "upgrade" }
            && headers[canonicalForm: "Upgrade"].contains { $0.lowercased() == "websocket" }
    }

    /// What follows `Bearer ` in the `Authorization` field; nil without the field or with another scheme.
    ///
    /// NOTE: the prefix is case-sensitive, against RFC 9110 §11.1, because LiveKit servers treat it so.
    package var bearerToken: String? {
        guard let field = headers.first(name: "Authorization"), field.hasPrefix("Bearer ") else { return nil }
        return String(field.dropFirst("Bearer ".count))
    }

    /// The client as the nearest proxies claim it: first of `CF-Connecting-IP`, `X-Forwarded-For`, `X-Real-IP`, then
    /// ``remoteAddress``. Anyone can send these fields, so it is for display and never for a decision.
    package var claimedClientAddress: String {
        for name in ["CF-Connecting-IP", "X-Forwarded-For", "X-Real-IP"] {
            if let address = headers[canonicalForm: name].first, !address.isEmpty {
                return String(address)
            }
        }
        return remoteAddress
    }

    private static func originForm(of target: String) -> Substring {
        guard !target.hasPrefix("/"), let scheme = target.firstRange(of: "://") else { return target[...] }
        let authority = target[scheme.upperBound...]
        guard let end = authority.firstIndex(where: { $0 == "/" || $0 == "?" }) else { return "/" }
        return authority[end] == "/" ? authority[end...] : "/" + authority[end...]
    }

    private static func collapsingLeadingSlashes(_ path: Substring) -> String {
        guard path.hasPrefix("/") else { return String(path) }
        return "/" + path.drop { $0 == "/" }
    }

    private static func items(of query: Substring) -> [QueryItem] {
        query.split(separator: "&").compactMap { pair in
            let mark = pair.firstIndex(of: "=")
            let value = mark.map { pair[pair.index(after: $0)...] } ?? ""
            guard
                let name = PercentEncoding.decoded(pair[..<(mark ?? pair.endIndex)], plusIsSpace: true),
                let value = PercentEncoding.decoded(value, plusIsSpace: true)
            else { return nil }
            return QueryItem(name: name, value: value)
        }
    }
}
