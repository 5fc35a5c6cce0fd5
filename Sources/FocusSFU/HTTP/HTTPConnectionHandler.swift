// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOCore
import NIOHTTP1
import NIOWebSocket

/// Serves the requests of one connection in turn, and hands the connection over when a route accepts a WebSocket.
///
///     idle ─head─▶ receiving ─end─▶ deciding ─▶ writing ─▶ idle
///       │              │                │           └──▶ lingering ─▶ closed
///       └── refused ───┴──▶ writing     └─ accepted ──▶ upgraded
///
/// While a request is deciding or writing nothing is read from the socket; what was parsed ahead waits in a short
/// queue. Runs on the channel's event loop.
final class HTTPConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    private enum State {
        case idle
        case receiving
        case deciding
        case writing
        /// Our side is closed; the peer may still read the answer, and what it sends is thrown away.
        case lingering
        case upgraded
        case closed
    }

    private let environment: HTTPServerEnvironment
    private let remoteAddress: String

    private var decoder: HTTPDecoderSlot
    private var state = State.idle
    private var exchange: HTTPExchange?
    private var pipelined: HTTPPipelinedRequests
    private var isShuttingDown = false
    private var isReadHeld = false
    private var isHeadPartlyRead = false
    private var wasPartRead = false
    private var timer: Scheduled<Void>?

    /// Puts the decoder and the handler into a new connection's pipeline.
    static func install(on channel: any Channel, _ environment: HTTPServerEnvironment) throws {
        let handler = HTTPConnectionHandler(environment, remoteAddress: Self.text(channel.remoteAddress))
        try channel.pipeline.syncOperations.addHandlers([handler.decoder.decoder, handler])
    }

    private init(_ environment: HTTPServerEnvironment, remoteAddress: String) {
        self.environment = environment
        self.remoteAddress = remoteAddress
        self.decoder = HTTPDecoderSlot(environment.configuration)
        self.pipelined = HTTPPipelinedRequests(limit: environment.configuration.pipelineLimit)
    }

    private var configuration: HTTPServerConfiguration { environment.configuration }
    private var router: HTTPRouter { environment.router }
    private var refusals: HTTPRefusalCounters { environment.refusals }

    func handlerAdded(context: ChannelHandlerContext) {
        schedule(context: context, in: configuration.headTimeout) { $0.headTimedOut(context: $1) }
    }

    // MARK: - Reading

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        wasPartRead = true
        switch state {
        case .lingering, .upgraded, .closed:
            return
        case .idle, .receiving:
            process(context: context, .part(unwrapInboundIn(data)))
        case .deciding, .writing:
            pipelined.append(unwrapInboundIn(data))
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if case .idle = state, !wasPartRead, !isHeadPartlyRead {
            isHeadPartlyRead = true
            schedule(context: context, in: configuration.headTimeout) { $0.headTimedOut(context: $1) }
        }
        wasPartRead = false
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        switch state {
        case .deciding, .writing:
            isReadHeld = true
        case .idle, .receiving, .lingering, .upgraded, .closed:
            context.read()
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard context.channel.isActive else { return }
        switch (error, state) {
        case (_, .lingering), (_, .upgraded), (_, .closed), (is ByteToMessageDecoderError, _):
            break
        case (let error as HTTPParserError, .idle), (let error as HTTPParserError, .receiving):
            process(context: context, .malformed(error))
        case (let error as HTTPParserError, _):
            pipelined.append(error)
        default:
            close(context: context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        // A route that still decides goes on holding the body.
        if case .deciding = state {} else { endExchange() }
        state = .closed
        timer?.cancel()
        pipelined.removeAll()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent {
            isShuttingDown = true
            if case .idle = state { close(context: context) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    // MARK: - One request

    private func process(context: ChannelHandlerContext, _ next: HTTPPipelinedRequests.Entry) {
        switch next {
        case .part(.head(let head)):
            begin(context: context, head)
        case .part(.body(let bytes)):
            receive(context: context, bytes)
        case .part(.end):
            dispatch(context: context)
        case .malformed(.headerOverflow):
            let response = HTTPResponse.text("request fields are too large\n", status: .requestHeaderFieldsTooLarge)
            refuse(context: context, .headTooLarge, response)
        case .malformed(let error):
            let response = HTTPResponse.text("malformed request: \(error)\n", status: .badRequest)
            refuse(context: context, .malformedRequest, response)
        case .tooFarAhead:
            let response = HTTPResponse.text("too many requests ahead of their answers\n", status: .tooManyRequests)
            refuse(context: context, .tooManyPipelined, response)
        }
    }

    private func begin(context: ChannelHandlerContext, _ head: HTTPRequestHead) {
        var exchange = HTTPExchange(head, remoteAddress: remoteAddress, router: router)
        let declared = exchange.declaredBodyByteCount ?? 0
        let limit = exchange.bodyLimit(fallback: router.defaultBodyLimit)
        let refusal = exchange.refusal(ofBody: declared)
        let isTaken = declared <= limit || exchange.discardBody(from: environment.bodyMemory)
        self.exchange = exchange
        state = .receiving
        isHeadPartlyRead = false
        if let refusal { return refuse(context: context, .bodyNotAdmitted, refusal) }
        guard isTaken else { return refuseBody(context: context, limit: limit) }
        if exchange.expectsContinue {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
        }
        schedule(context: context, in: configuration.bodyTimeout) { $0.bodyTimedOut(context: $1) }
    }

    private func receive(context: ChannelHandlerContext, _ bytes: ByteBuffer) {
        guard case .receiving = state, let before = exchange?.receivedBodyByteCount else { return }
        let limit = exchange?.bodyLimit(fallback: router.defaultBodyLimit) ?? 0
        // Chunked: nobody said before that the body would be long.
        if let refusal = exchange?.refusal(ofBody: before + bytes.readableBytes) {
            return refuse(context: context, .bodyNotAdmitted, refusal)
        }
        guard before + bytes.readableBytes <= limit || exchange?.discardBody(from: environment.bodyMemory) ?? false
        else { return refuseBody(context: context, limit: limit) }
        guard exchange?.append(bytes, in: environment.bodyMemory) ?? false else {
            refuse(context: context, .bodyMemory, .text("too many requests\n", status: .serviceUnavailable))
            return
        }
        let step = 256 * 1024
        if (before + bytes.readableBytes) / step > before / step {
            schedule(context: context, in: configuration.bodyTimeout) { $0.bodyTimedOut(context: $1) }
        }
    }

    private func dispatch(context: ChannelHandlerContext) {
        guard case .receiving = state, let exchange else { return }
        timer?.cancel()
        let request = exchange.request
        switch exchange.resolution {
        case .answer(let response, let refusal):
            if let refusal { refusals.count(refusal) }
            respond(context: context, response)
        case .route(let route, let parameters):
            let handler = exchange.isOversized ? route.oversized ?? route.handler : route.handler
            decide(context: context) {
                .response(await handler(request, parameters))
            }
        case .upgrade(let handler):
            do {
                let key = try WebSocketHandshake.accept(request, version: exchange.version)
                decide(context: context) {
                    .webSocket(await handler(request), acceptKey: key)
                }
            } catch {
                refusals.count(error.refusal)
                respond(context: context, error.response)
            }
        }
    }

    // MARK: - Deciding

    private enum Decision: Sendable {
        case response(HTTPResponse)
        case webSocket(WebSocketDecision, acceptKey: String)
    }

    private func decide(context: ChannelHandlerContext, _ ask: @escaping @Sendable () async -> Decision) {
        state = .deciding
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        let yielded = environment.jobs.yield {
            let decision = await ask()
            eventLoop.execute {
                bound.value.handler.decided(context: bound.value.context, decision)
            }
        }
        if case .terminated = yielded {
            refusals.count(.shuttingDown)
            respond(context: context, .text("server is shutting down\n", status: .serviceUnavailable))
        }
    }

    private func decided(context: ChannelHandlerContext, _ decision: Decision) {
        if case .closed = state { endExchange() }
        switch decision {
        case .response(let response), .webSocket(.refuse(let response), _):
            if case .webSocket = decision { refusals.count(.upgradeRefused) }
            guard case .deciding = state else { return }
            respond(context: context, response)
        case .webSocket(.accept(let open), let key):
            let connection = WebSocketConnection(
                channel: context.channel,
                remoteAddress: remoteAddress,
                outboundLimit: configuration.webSocketOutboundLimit
            )
            guard case .deciding = state, context.channel.isActive else {
                connection.closed()
                open(connection).closed(.lost)
                return
            }
            upgrade(context: context, connection, acceptKey: key, open: open)
        }
    }

    private func upgrade(
        context: ChannelHandlerContext,
        _ connection: WebSocketConnection,
        acceptKey: String,
        open: @escaping @Sendable (WebSocketConnection) -> any WebSocketHandler
    ) {
        state = .upgraded
        timer?.cancel()
        endExchange()
        let head = """
            HTTP/1.1 101 Switching Protocols\r
            Upgrade: websocket\r
            Connection: Upgrade\r
            Sec-WebSocket-Accept: \(acceptKey)\r
            \r

            """
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: head)), promise: nil)
        let frames = ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: configuration.webSocketMessageLimit))
        let handler = WebSocketChannelHandler(
            connection: connection,
            configuration: configuration,
            refusals: refusals,
            open: open
        )
        let pipeline = context.pipeline.syncOperations
        do {
            try pipeline.addHandler(frames, position: .after(decoder.decoder))
            try pipeline.addHandler(handler, position: .after(frames))
        } catch {
            connection.closed()
            open(connection).closed(.lost)
            close(context: context)
            return
        }
        // What the client has sent behind its request moves on to the frame decoder.
        decoder.remove(from: pipeline)
        if isShuttingDown {
            context.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
        if isReadHeld { context.read() }
        pipeline.removeHandler(context: context, promise: nil)
    }

    // MARK: - Answering

    private func respond(context: ChannelHandlerContext, _ response: HTTPResponse, closing: Bool = false) {
        var response = response
        router.finish(
            &response,
            crossOrigin: exchange?.crossOrigin,
            requestedHeaders: exchange?.request.headers.first(name: "Access-Control-Request-Headers")
        )
        let keepsAlive = !closing && !isShuttingDown && exchange?.keepsAlive ?? false
        let bytes = response.encoded(
            answeringHead: exchange?.request.method == .HEAD,
            version: exchange?.version ?? .http1_1,
            keepsAlive: keepsAlive
        )
        state = .writing
        schedule(context: context, in: configuration.responseTimeout) { handler, context in
            handler.refusals.count(.slowReader)
            handler.close(context: context)
        }
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(bytes)).whenComplete { result in
            bound.value.handler.wrote(context: bound.value.context, result, keepsAlive: keepsAlive)
        }
    }

    private func wrote(context: ChannelHandlerContext, _ result: Result<Void, any Error>, keepsAlive: Bool) {
        guard case .writing = state else { return }
        guard case .success = result else {
            close(context: context)
            return
        }
        guard keepsAlive else {
            linger(context: context)
            return
        }
        let stopsDecoder = exchange?.stopsDecoder ?? false
        endExchange()
        state = .idle
        schedule(context: context, in: configuration.idleTimeout) { $0.close(context: $1) }
        do {
            if stopsDecoder { try decoder.replace(in: context.pipeline.syncOperations) }
        } catch {
            close(context: context)
        }
        processPipelined(context: context)
        resumeReading(context: context)
    }

    private func processPipelined(context: ChannelHandlerContext) {
        while true {
            switch state {
            case .idle, .receiving: break
            case .deciding, .writing, .lingering, .upgraded, .closed: return
            }
            guard let next = pipelined.next() else { return }
            process(context: context, next)
        }
    }

    private func resumeReading(context: ChannelHandlerContext) {
        switch state {
        case .deciding, .writing:
            return
        case .idle, .receiving, .lingering, .upgraded, .closed:
            guard isReadHeld else { return }
            isReadHeld = false
            context.read()
        }
    }

    // MARK: - Refusing and closing

    private func refuse(context: ChannelHandlerContext, _ refusal: HTTPRefusal, _ response: HTTPResponse) {
        refusals.count(refusal)
        respond(context: context, response, closing: true)
    }

    private func refuseBody(context: ChannelHandlerContext, limit: Int) {
        let response = HTTPResponse.text("the body exceeds \(limit) bytes\n", status: .payloadTooLarge)
        refuse(context: context, .bodyTooLarge, response)
    }

    private func headTimedOut(context: ChannelHandlerContext) {
        guard isHeadPartlyRead else {
            close(context: context)
            return
        }
        refuse(context: context, .headTimeout, .text("the request took too long\n", status: .requestTimeout))
    }

    private func bodyTimedOut(context: ChannelHandlerContext) {
        refuse(context: context, .bodyTimeout, .text("the request took too long\n", status: .requestTimeout))
    }

    /// Half-closes and waits a moment: closing a socket with unread input would make the kernel throw the answer away.
    private func linger(context: ChannelHandlerContext) {
        state = .lingering
        pipelined.removeAll()
        context.close(mode: .output, promise: nil)
        // Without a decoder nothing the peer still sends is kept.
        decoder.remove(from: context.pipeline.syncOperations)
        schedule(context: context, in: configuration.lingerTimeout) { $0.close(context: $1) }
        resumeReading(context: context)
    }

    private func endExchange() {
        if let exchange { environment.bodyMemory.give(back: exchange.countedBodyByteCount, of: exchange.bodyHolder) }
        exchange = nil
    }

    private func close(context: ChannelHandlerContext) {
        state = .closed
        timer?.cancel()
        context.close(promise: nil)
    }

    private func schedule(
        context: ChannelHandlerContext,
        in delay: Duration,
        _ action: @escaping @Sendable (HTTPConnectionHandler, ChannelHandlerContext) -> Void
    ) {
        timer?.cancel()
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: TimeAmount(delay)) {
            action(bound.value.handler, bound.value.context)
        }
    }

    /// The peer's IP address; an IPv4 peer on a dual-stack socket without its IPv6 prefix.
    private static func text(_ address: SocketAddress?) -> String {
        let text = address?.ipAddress ?? ""
        return text.hasPrefix("::ffff:") && text.contains(".") ? String(text.dropFirst("::ffff:".count)) : text
    }
}
