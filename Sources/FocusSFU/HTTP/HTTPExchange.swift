// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOCore
import NIOHTTP1

/// One request on its way to an answer: what was asked, who answers, and how the connection goes on.
struct HTTPExchange {
    var request: HTTPRequest
    let resolution: HTTPRouter.Resolution
    let version: HTTPVersion
    /// Whether the client wants to go on using the connection, RFC 9112 §9.3.
    let keepsAlive: Bool
    /// Whether the client waits for `100 Continue` before it sends the body, RFC 9110 §10.1.1.
    let expectsContinue: Bool
    /// Content-Length if the request has one; `Int.max` stands for more.
    let declaredBodyByteCount: Int?
    /// Whether the decoder stops behind this request because more bytes could belong to another protocol.
    ///
    /// It must be replaced when HTTP goes on. The rule is that of the parser below it: CONNECT, or both fields.
    let stopsDecoder: Bool

    private(set) var receivedBodyByteCount = 0
    /// The body is beyond its limit, and thrown away as it comes.
    private(set) var isOversized = false
    /// Whose the body is, and how much of it counts.
    private(set) var bodyHolder = HTTPBodyMemory.Holder.stranger
    private(set) var countedBodyByteCount = 0

    init(_ head: HTTPRequestHead, remoteAddress: String, router: HTTPRouter) {
        let request = HTTPRequest(
            method: head.method,
            target: head.uri,
            headers: head.headers,
            remoteAddress: remoteAddress
        )
        self.request = request
        self.resolution = router.resolve(request)
        self.version = head.version
        self.keepsAlive = head.isKeepAlive
        self.expectsContinue =
            head.version == .http1_1 && head.headers.first(name: "Expect")?.lowercased() == "100-continue"
        self.declaredBodyByteCount = head.headers.first(name: "Content-Length").map { Int($0) ?? .max }
        self.stopsDecoder =
            head.method == .CONNECT
            || (head.headers.contains(name: "Upgrade")
                && head.headers[canonicalForm: "Connection"].contains { $0.lowercased() == "upgrade" })
    }

    /// Limit of the body, bytes; a body nobody asked for is read up to `fallback` and thrown away.
    func bodyLimit(fallback: Int) -> Int {
        switch resolution {
        case .route(let route, _): route.bodyLimit
        case .upgrade, .answer: fallback
        }
    }

    var crossOrigin: CrossOriginPolicy? {
        switch resolution {
        case .route(let route, _): route.crossOrigin
        case .upgrade, .answer: nil
        }
    }

    /// Asks the route about a body of that length, once; an answer refuses it.
    mutating func refusal(ofBody byteCount: Int) -> HTTPResponse? {
        guard byteCount > HTTPBodyMemory.freeByteCount, bodyHolder == .stranger,
            case .route(let route, _) = resolution, let admission = route.admission
        else { return nil }
        if let refusal = admission(request) { return refusal }
        bodyHolder = .known
        return nil
    }

    /// Throws the body away, what is here and what comes; false where the route does not answer without it.
    mutating func discardBody(from memory: HTTPBodyMemory) -> Bool {
        guard bodyHolder == .known, case .route(let route, _) = resolution, route.oversized != nil else { return false }
        isOversized = true
        request.body = []
        memory.give(back: countedBodyByteCount, of: bodyHolder)
        countedBodyByteCount = 0
        return true
    }

    /// Takes the next part of the body in; false when there is no memory for it.
    mutating func append(_ bytes: ByteBuffer, in memory: HTTPBodyMemory) -> Bool {
        guard !isOversized else {
            receivedBodyByteCount += bytes.readableBytes
            return true
        }
        let counted = max(0, receivedBodyByteCount + bytes.readableBytes - HTTPBodyMemory.freeByteCount)
        guard memory.take(counted - countedBodyByteCount, for: bodyHolder) else { return false }
        countedBodyByteCount = counted
        receivedBodyByteCount += bytes.readableBytes
        if case .route = resolution {
            request.body.append(contentsOf: bytes.readableBytesView)
        }
        return true
    }
}
