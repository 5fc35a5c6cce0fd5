// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOCore
import NIOHTTP1

/// Answers a connection that is not admitted with 503, without reading from it.
final class HTTPTurnAwayHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let response: HTTPResponse

    init(_ refusal: HTTPRefusal, router: HTTPRouter) {
        var response = HTTPResponse.text(
            refusal == .shuttingDown ? "server is shutting down\n" : "too many connections\n",
            status: .serviceUnavailable
        )
        response.headers.add(name: "Retry-After", value: "5")
        router.finish(&response, crossOrigin: nil, requestedHeaders: nil)
        self.response = response
    }

    func channelActive(context: ChannelHandlerContext) {
        let bytes = response.encoded(answeringHead: false, version: .http1_1, keepsAlive: false)
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        context.close(mode: .output, promise: nil)
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
}
