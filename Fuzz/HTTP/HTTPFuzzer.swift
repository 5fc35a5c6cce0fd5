// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

@testable import FocusSFU
import FuzzInput
import NIOCore
import NIOEmbedded
import NIOHTTP1

/// A router with a route of every sort; its handlers never run here.
private let router: HTTPRouter = {
    var router = HTTPRouter(defaultBodyLimit: 256)
    router.on(.GET, "/health") { _, _ in .text("ok") }
    router.on(.PUT, "/_matrix/app/v1/transactions/:id", bodyLimit: 512) { _, _ in .empty(.ok) }
    router.onAny("/twirp/*") { _, _ in .empty(.ok) }
    router.webSocket("/rtc") { _ in .refuse(.empty(.unauthorized)) }
    return router
}()

/// The bytes of one HTTP connection as they arrive, in pieces, up to the decision of a route.
///
///     | length (2) | piece | …
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzHTTP(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    var input = FuzzInput(start, count)
    var configuration = HTTPServerConfiguration(addresses: ["127.0.0.1"], port: 0)
    configuration.headLimit = 1024
    configuration.headFieldLimit = 16
    let (_, jobs) = AsyncStream.makeStream(of: HTTPServer.Job.self)
    let environment = HTTPServerEnvironment(
        configuration: configuration,
        router: router,
        refusals: HTTPRefusalCounters(),
        connections: HTTPConnections(limit: 1, drained: {}),
        bodyMemory: HTTPBodyMemory(strangerLimit: 1024, knownLimit: 1024),
        jobs: jobs
    )
    let channel = EmbeddedChannel()
    defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
    _ = try? channel.connect(to: SocketAddress(ipAddress: "192.0.2.1", port: 1)).wait()
    guard (try? HTTPConnectionHandler.install(on: channel, environment)) != nil else { return 0 }
    while !input.isEmpty {
        let piece = input.nextDatagram()
        readTarget(piece)
        _ = try? channel.writeInbound(ByteBuffer(bytes: piece))
    }
    return 0
}

/// Takes the bytes for a request target and a header field too.
private func readTarget(_ bytes: UnsafeRawBufferPointer) {
    let text = String(decoding: bytes, as: UTF8.self)
    let request = HTTPRequest(method: .GET, target: text, headers: ["Authorization": text, "X-Forwarded-For": text])
    _ = router.resolve(request)
    _ = (request.bearerToken, request.claimedClientAddress, request.queryItems.count)
}
