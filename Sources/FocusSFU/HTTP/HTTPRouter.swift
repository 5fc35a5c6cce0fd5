// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import NIOHTTP1

/// Which handler answers a request: a table of method and path, built once and then only read.
///
/// Literal segments win over `:name`, which wins over `*`. `HEAD` is answered by the `GET` route without its body, and
/// `OPTIONS` of a known path with 200, unless a route of their own exists.
package struct HTTPRouter: Sendable {
    package typealias Handler = @Sendable (HTTPRequest, PathParameters) async -> HTTPResponse
    /// Decides by the head alone whether a body over ``HTTPBodyMemory/freeByteCount`` may come: nil lets it in, an
    /// answer refuses it. Runs on the connection's event loop. Shorter bodies come without it, so the handler still has
    /// to look.
    package typealias Admission = @Sendable (HTTPRequest) -> HTTPResponse?
    package typealias UpgradeHandler = @Sendable (HTTPRequest) async -> WebSocketDecision

    /// The largest body limit a route can ask for, bytes.
    package static let largestBodyLimit = 50 * 1024 * 1024

    /// CORS fields of every answer, the server's own refusals included; nil leaves them out.
    package var crossOrigin: CrossOriginPolicy?
    /// Fields of every answer that does not set them itself.
    package var commonHeaders: HTTPHeaders = [:]
    /// Body limit of routes that name none, bytes.
    package var defaultBodyLimit: Int

    private var entries: [Entry] = []

    package init(crossOrigin: CrossOriginPolicy? = CrossOriginPolicy(), defaultBodyLimit: Int = 1024 * 1024) {
        self.crossOrigin = crossOrigin
        self.defaultBodyLimit = min(defaultBodyLimit, Self.largestBodyLimit)
    }

    /// Adds a route; a second one for the same method and path replaces the first.
    ///
    /// - Parameters:
    ///   - method: `GET` also answers `HEAD`.
    ///   - path: Starts with a slash; `:name` stands for one segment, a last `*` for the rest.
    ///   - bodyLimit: Bytes, at most ``largestBodyLimit``; beyond it the answer is 413.
    ///   - crossOrigin: In place of the router's for this route.
    ///   - admission: Belongs to every route with a large ``bodyLimit``.
    ///   - oversized: Answers a body beyond ``bodyLimit`` in place of 413, once it was read and thrown away; only for
    ///     those whom `admission` lets in.
    ///   - handler: Makes the answer; runs as a child task of ``HTTPServer/run()``.
    package mutating func on(
        _ method: HTTPMethod,
        _ path: String,
        bodyLimit: Int? = nil,
        crossOrigin: CrossOriginPolicy? = nil,
        admission: Admission? = nil,
        oversized: Handler? = nil,
        handler: @escaping Handler
    ) {
        var route = route(bodyLimit, crossOrigin, handler)
        route.admission = admission
        route.oversized = oversized
        withEntry(path) { $0.methods[method.rawValue] = route }
    }

    /// Adds a route for every method that has none of its own.
    package mutating func onAny(
        _ path: String,
        bodyLimit: Int? = nil,
        crossOrigin: CrossOriginPolicy? = nil,
        handler: @escaping Handler
    ) {
        let route = route(bodyLimit, crossOrigin, handler)
        withEntry(path) { $0.any = route }
    }

    /// Adds a WebSocket: `handler` decides on each upgrade request whose handshake is well-formed.
    ///
    /// A `GET` that asks for no upgrade is answered 404 with an empty body unless the path has a `GET` route too.
    package mutating func webSocket(_ path: String, handler: @escaping UpgradeHandler) {
        withEntry(path) { $0.upgrade = handler }
    }

    // MARK: - For the connection

    struct Route: Sendable {
        var bodyLimit: Int
        var crossOrigin: CrossOriginPolicy?
        var admission: Admission?
        var oversized: Handler?
        var handler: Handler
    }

    enum Resolution: Sendable {
        case route(Route, PathParameters)
        case upgrade(UpgradeHandler)
        /// No handler is asked; the refusal is counted if there is one.
        case answer(HTTPResponse, HTTPRefusal?)
    }

    func resolve(_ request: HTTPRequest) -> Resolution {
        guard request.path.hasPrefix("/") else {
            return request.method == .OPTIONS && request.path == "*"
                ? .answer(.empty(.ok), nil)
                : .answer(.text("the request target is not a path", status: .badRequest), .malformedRequest)
        }
        guard let segments = request.pathSegments else {
            return .answer(.text("the path is not percent-encoded UTF-8", status: .badRequest), .malformedRequest)
        }
        var best: (entry: Entry, parameters: PathParameters)?
        for entry in entries {
            if let best, !entry.pattern.precedes(best.entry.pattern) { continue }
            if let parameters = entry.pattern.match(segments) {
                best = (entry, parameters)
            }
        }
        guard let (entry, parameters) = best else {
            return .answer(.text("404 page not found\n", status: .notFound), .unknownPath)
        }
        if let upgrade = entry.upgrade, request.isWebSocketUpgrade {
            return .upgrade(upgrade)
        }
        if let route = entry.route(for: request.method) {
            return .route(route, parameters)
        }
        return Self.answerWithoutRoute(request.method, at: entry)
    }

    /// Adds what every answer carries.
    func finish(_ response: inout HTTPResponse, crossOrigin override: CrossOriginPolicy?, requestedHeaders: String?) {
        for field in commonHeaders where !response.headers.contains(name: field.name) {
            response.headers.add(name: field.name, value: field.value)
        }
        if let policy = override ?? crossOrigin {
            policy.apply(to: &response.headers, requested: requestedHeaders)
        }
    }

    // MARK: - Table

    private struct Entry: Sendable {
        let pattern: PathPattern
        var methods: [String: Route] = [:]
        var any: Route?
        var upgrade: UpgradeHandler?

        func route(for method: HTTPMethod) -> Route? {
            if let route = methods[method.rawValue] { return route }
            if method == .HEAD, let route = methods[HTTPMethod.GET.rawValue] { return route }
            return method == .OPTIONS ? nil : any
        }

        var allowedMethods: String {
            var names = Set(methods.keys)
            if names.contains("GET") { names.insert("HEAD") }
            if upgrade != nil { names.insert("GET") }
            if any != nil { names.formUnion(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]) }
            names.insert("OPTIONS")
            return names.sorted().joined(separator: ", ")
        }
    }

    private static func answerWithoutRoute(_ method: HTTPMethod, at entry: Entry) -> Resolution {
        if method == .OPTIONS {
            return .answer(HTTPResponse(status: .ok, headers: ["Allow": entry.allowedMethods]), nil)
        }
        if entry.upgrade != nil, method == .GET || method == .HEAD {
            return .answer(.empty(.notFound), .unknownPath)
        }
        var response = HTTPResponse.text("method not allowed\n", status: .methodNotAllowed)
        response.headers.add(name: "Allow", value: entry.allowedMethods)
        return .answer(response, .unknownMethod)
    }

    private func route(_ bodyLimit: Int?, _ crossOrigin: CrossOriginPolicy?, _ handler: @escaping Handler) -> Route {
        Route(
            bodyLimit: min(bodyLimit ?? defaultBodyLimit, Self.largestBodyLimit),
            crossOrigin: crossOrigin,
            handler: handler
        )
    }

    private mutating func withEntry(_ path: String, _ change: (inout Entry) -> Void) {
        let pattern = PathPattern(path)
        if let index = entries.firstIndex(where: { $0.pattern == pattern }) {
            change(&entries[index])
        } else {
            var entry = Entry(pattern: pattern)
            change(&entry)
            entries.append(entry)
        }
    }
}
