// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOCore
import NIOWebSocket

/// Carries one WebSocket between its channel and its owner, RFC 6455 §5 to §7. Runs on the channel's event loop.
///
///     open ──close()──▶ closing ──peer's Close, or too late──▶ ended
///      │ peer's Close, violation                                ▲
///      └────────────▶ lingering (half-closed, input discarded) ──┤ peer's end, or too late
///      └──── socket lost, slow reader ───────────────────────────┘
final class WebSocketChannelHandler: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    private enum Phase {
        case open
        /// Our Close frame waits or is sent; the peer's is awaited.
        case closing(code: WebSocketCloseCode, reason: String)
        /// The owner has heard the end; the socket is half-closed so that the peer can read the last frame.
        case lingering
        case ended
    }

    private let connection: WebSocketConnection
    private let open: @Sendable (WebSocketConnection) -> any WebSocketHandler
    private let configuration: HTTPServerConfiguration
    private let refusals: HTTPRefusalCounters

    private var owner: (any WebSocketHandler)?
    /// What the owner heard, or hears as soon as it exists.
    private var endReason: WebSocketCloseReason?
    private var assembler: WebSocketAssembler
    private var phase = Phase.open
    private var pings: RepeatedTask?
    private var isPingUnwritten = false
    private var deadline: Scheduled<Void>?
    private var isPaused = false
    private var isReadHeld = false

    init(
        connection: WebSocketConnection,
        configuration: HTTPServerConfiguration,
        refusals: HTTPRefusalCounters,
        open: @escaping @Sendable (WebSocketConnection) -> any WebSocketHandler
    ) {
        self.connection = connection
        self.configuration = configuration
        self.refusals = refusals
        self.open = open
        self.assembler = WebSocketAssembler(limit: configuration.webSocketMessageLimit)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let owner = open(connection)
        if let endReason {
            owner.closed(endReason)
            return
        }
        self.owner = owner
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        let interval = TimeAmount(configuration.webSocketPingInterval)
        pings = context.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            bound.value.handler.pingDue(context: bound.value.context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end(context: context, reason: .lost)
    }

    // MARK: - From the peer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch phase {
        case .open, .closing: break
        case .lingering, .ended: return
        }
        do {
            switch try assembler.receive(unwrapInboundIn(data)) {
            case .message(let message):
                if case .open = phase { owner?.received(message) }
            case .ping(let payload):
                connection.sendControl(.pong, Array(payload.readableBytesView))
            case .close(let code, let reason):
                peerClosed(context: context, code: code, reason: reason)
            case .nothing, .pong:
                break
            }
        } catch {
            refuse(context: context, error)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case NIOWebSocketError.invalidFrameLength:
            refuse(context: context, .messageTooLarge)
        case is NIOWebSocketError:
            refuse(context: context, .controlFrame)
        case is ByteToMessageDecoderError:
            // Bytes behind the frame that was refused.
            break
        default:
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(context: context, reason: .lost)
        context.fireChannelInactive()
    }

    func read(context: ChannelHandlerContext) {
        if isPaused {
            isReadHeld = true
        } else {
            context.read()
        }
    }

    // MARK: - From the owner and the server

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard let wake = event as? WebSocketConnection.Wake else {
            context.triggerUserOutboundEvent(event, promise: promise)
            return
        }
        switch wake {
        case .framesWaiting:
            writeBatch(context: context)
        case .overflow:
            slowReaderFound(context: context)
        case .pauseReading:
            isPaused = true
        case .resumeReading:
            isPaused = false
            resumeReading(context: context)
        }
        promise?.succeed()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent, case .open = phase {
            owner?.serverShuttingDown()
            let connection = connection
            schedule(context: context, in: configuration.webSocketLinger) { _, _ in
                connection.close(code: .goingAway, reason: "server is shutting down")
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    // MARK: - Writing

    private func writeBatch(context: ChannelHandlerContext) {
        let batch = connection.takeBatch()
        guard let last = batch.frames.last else { return }
        for frame in batch.frames.dropLast() {
            context.write(wrapOutboundOut(frame), promise: nil)
        }
        let written = context.eventLoop.makePromise(of: Void.self)
        let connection = connection
        written.futureResult.whenComplete { _ in connection.wrote(byteCount: batch.byteCount) }
        if let ending = batch.ending {
            phase = .closing(code: ending.code, reason: ending.reason)
            isPaused = false
            resumeReading(context: context)
            schedule(context: context, in: configuration.webSocketCloseTimeout) { handler, context in
                handler.refusals.count(.webSocketCloseTimeout)
                handler.end(context: context, reason: .local(code: ending.code, reason: ending.reason))
                context.close(promise: nil)
            }
        }
        context.writeAndFlush(wrapOutboundOut(last), promise: written)
    }

    private func pingDue(context: ChannelHandlerContext) {
        guard case .open = phase else { return }
        guard !isPingUnwritten else {
            slowReaderFound(context: context)
            return
        }
        isPingUnwritten = true
        connection.sendControl(.ping, [])
        writeBatch(context: context)
        // Completes behind the ping.
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenComplete { _ in
            bound.value.isPingUnwritten = false
        }
    }

    private func resumeReading(context: ChannelHandlerContext) {
        guard isReadHeld else { return }
        isReadHeld = false
        context.read()
    }

    // MARK: - Ending

    private func peerClosed(context: ChannelHandlerContext, code: WebSocketCloseCode, reason: String) {
        if case .closing(let ownCode, let ownReason) = phase {
            end(context: context, reason: .local(code: ownCode, reason: ownReason))
            context.close(promise: nil)
        } else {
            connection.sendLast(code: code, reason: "")
            linger(context: context, reason: .peer(code: code, reason: reason))
        }
    }

    private func refuse(context: ChannelHandlerContext, _ violation: WebSocketAssembler.Violation) {
        switch phase {
        case .open:
            refusals.count(violation.refusal)
            connection.sendLast(code: violation.code, reason: violation.reason)
            linger(context: context, reason: .refused(violation.refusal))
        case .closing(let code, let reason):
            refusals.count(violation.refusal)
            end(context: context, reason: .local(code: code, reason: reason))
            context.close(promise: nil)
        case .lingering, .ended:
            break
        }
    }

    private func slowReaderFound(context: ChannelHandlerContext) {
        if case .open = phase { refusals.count(.slowReader) }
        end(context: context, reason: .refused(.slowReader))
        context.close(promise: nil)
    }

    /// Tells the owner, then gives the peer a moment to read the last frame: closing a socket with unread input would
    /// make the kernel throw away what has been sent.
    private func linger(context: ChannelHandlerContext, reason: WebSocketCloseReason) {
        tellOwner(reason)
        writeBatch(context: context)
        phase = .lingering
        pings?.cancel()
        isPaused = false
        resumeReading(context: context)
        context.close(mode: .output, promise: nil)
        schedule(context: context, in: configuration.lingerTimeout) { handler, context in
            handler.phase = .ended
            context.close(promise: nil)
        }
    }

    private func end(context: ChannelHandlerContext, reason: WebSocketCloseReason) {
        if case .closing(let code, let text) = phase {
            tellOwner(.local(code: code, reason: text))
        } else {
            tellOwner(reason)
        }
        phase = .ended
        pings?.cancel()
        deadline?.cancel()
        connection.closed()
    }

    private func tellOwner(_ reason: WebSocketCloseReason) {
        guard endReason == nil else { return }
        endReason = reason
        owner?.closed(reason)
        owner = nil
    }

    private func schedule(
        context: ChannelHandlerContext,
        in delay: Duration,
        _ action: @escaping @Sendable (WebSocketChannelHandler, ChannelHandlerContext) -> Void
    ) {
        deadline?.cancel()
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        deadline = context.eventLoop.scheduleTask(in: TimeAmount(delay)) {
            action(bound.value.handler, bound.value.context)
        }
    }
}
