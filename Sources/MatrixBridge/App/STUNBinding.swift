// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import NIOCore
import NIOPosix

/// One STUN Binding transaction over UDP, RFC 8489 §6.2.1: where does the server see us?
enum STUNBinding {
    /// When the request is sent, milliseconds after the first; the answer may take as long again as the last pause.
    private static let sendTimes: [Int64] = [0, 250, 750, 1_500]
    private static let deadline: Int64 = 2_500

    /// Our IPv4 address as the server sees it; nil when it has no address, or gives no usable answer in time.
    static func mappedAddress(seenBy host: String, port: UInt16) async -> NetworkAddress? {
        let resolving = try? await NIOThreadPool.singleton.runIfActive {
            NetworkAddress.resolvingIPv4(host, port: port)
        }
        guard let server = resolving ?? nil, let remote = try? SocketAddress(ipAddress: server.host, port: Int(port))
        else { return nil }
        let transaction = STUNMessage.TransactionID(high: .random(in: 0 ... .max), low: .random(in: 0 ... .max))
        let group = MultiThreadedEventLoopGroup.singleton
        let answer = group.next().makePromise(of: NetworkAddress?.self)
        let channel = try? await DatagramBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AnswerHandler(transaction: transaction, server: server, answer: answer))
                }
            }
            .bind(host: "0.0.0.0", port: 0).get()
        guard let channel else {
            answer.succeed(nil)
            return nil
        }
        for time in sendTimes {
            channel.eventLoop.scheduleTask(in: .milliseconds(time)) {
                var writer = ByteWriter()
                writer.writeSTUNHeader(.request, transactionID: transaction)
                let request = AddressedEnvelope(remoteAddress: remote, data: ByteBuffer(bytes: writer.bytes))
                channel.writeAndFlush(request, promise: nil)
            }
        }
        let timer = channel.eventLoop.scheduleTask(in: .milliseconds(deadline)) { channel.close(promise: nil) }
        let address = try? await answer.futureResult.get()
        timer.cancel()
        try? await channel.close().get()
        return address ?? nil
    }

    /// The address in a success response to `transaction`; nil for everything else.
    static func mappedAddress(
        in datagram: [UInt8], answering transaction: STUNMessage.TransactionID
    ) -> NetworkAddress? {
        datagram.withUnsafeBytes { bytes in
            guard let message = try? STUNMessage(reading: bytes), message.messageClass == .successResponse,
                message.method == STUNMessage.bindingMethod, message.transactionID == transaction
            else { return nil }
            return message.xorMappedAddress
        }
    }

    /// Waits for the answer; the end of the channel is an answer too.
    private final class AnswerHandler: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>

        private let transaction: STUNMessage.TransactionID
        private let server: NetworkAddress
        private let answer: EventLoopPromise<NetworkAddress?>

        init(
            transaction: STUNMessage.TransactionID, server: NetworkAddress, answer: EventLoopPromise<NetworkAddress?>
        ) {
            self.transaction = transaction
            self.server = server
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let envelope = unwrapInboundIn(data)
            guard envelope.remoteAddress.ipAddress == server.host,
                let address = mappedAddress(in: Array(buffer: envelope.data), answering: transaction)
            else { return }
            answer.succeed(address)
        }

        func channelInactive(context: ChannelHandlerContext) {
            answer.succeed(nil)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            // An ICMP refusal: the next request may find the server up.
        }
    }
}
