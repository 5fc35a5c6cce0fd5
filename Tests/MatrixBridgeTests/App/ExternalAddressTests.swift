// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Logging
import NIOCore
import NIOPosix
import Testing

@testable import MatrixBridge

@Suite("rtc.use_external_ip asks our own servers")
struct ExternalAddressTests {
    private func configuration(_ yaml: String) throws -> BridgeConfiguration {
        try #require(Sample.reading(yaml).configuration)
    }

    private let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    @Test(
        "servers as they are written",
        arguments: [
            ("stun.example.org", ExternalAddress.Server(host: "stun.example.org", port: 3478)),
            ("stun.example.org:19302", .init(host: "stun.example.org", port: 19302)),
            ("stun:192.0.2.1:3479", .init(host: "192.0.2.1", port: 3479)), ("", nil), ("a:b", nil), ("a:70000", nil),
            ("[2001:db8::1]:3478", nil),
        ])
    func server(text: String, expected: ExternalAddress.Server?) {
        #expect(ExternalAddress.server(text) == expected)
    }

    @Test("STUN servers come before TURN servers, each once, and nobody else is asked")
    func servers() throws {
        let configuration = try configuration(
            """
            rtc:
              use_external_ip: true
              stun_servers: [stun.example.org:3478]
              turn_servers:
                - {host: turn.example.org, protocol: udp, secret: \(Sample.secret)}
                - {host: turn.example.org, protocol: tls, port: 443, secret: \(Sample.secret)}
                - {host: stun.example.org, protocol: udp, secret: \(Sample.secret)}
            """)
        #expect(
            ExternalAddress.servers(of: configuration).map(\.description) == [
                "stun.example.org:3478", "turn.example.org:3478",
            ])
        #expect(ExternalAddress.servers(of: try self.configuration("rtc: {use_external_ip: true}\n")).isEmpty)
    }

    @Test("without anybody to ask there is a warning, and no start fails")
    func nobody() async throws {
        let reading = Sample.reading("rtc: {use_external_ip: true}\n")
        #expect(reading.findings(.warning).contains { $0.problem.contains("has nobody to ask") })
        let configuration = try #require(reading.configuration)
        #expect(await ExternalAddress.advertised(by: configuration, log: log).isEmpty)
    }

    @Test("node_ip wins, and then nobody is asked")
    func named() async throws {
        let configuration = try configuration(
            "rtc: {use_external_ip: true, node_ip: 203.0.113.7, stun_servers: [192.0.2.1]}\n")
        #expect(await ExternalAddress.advertised(by: configuration, log: log) == ["203.0.113.7"])
    }

    @Test("the address in the answer is offered; answers to something else are not believed")
    func asked() async throws {
        let seen = try #require(NetworkAddress("198.51.100.9", port: 4711))
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await DatagramBootstrap(group: group)
            .channelInitializer { $0.pipeline.addHandler(STUNServer(telling: seen)) }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        let configuration = try configuration("rtc: {use_external_ip: true, stun_servers: [\"127.0.0.1:\(port)\"]}\n")
        #expect(await ExternalAddress.advertised(by: configuration, log: log) == ["198.51.100.9"])
        try await server.close()
    }

    @Test("a response is read only when it answers this transaction")
    func response() throws {
        let transaction = STUNMessage.TransactionID(high: 1, low: 2)
        let seen = try #require(NetworkAddress("198.51.100.9", port: 4711))
        var writer = ByteWriter()
        writer.writeSTUNHeader(.successResponse, transactionID: transaction)
        writer.writeSTUNMappedAddress(seen, transactionID: transaction)
        #expect(STUNBinding.mappedAddress(in: writer.bytes, answering: transaction) == seen)
        #expect(STUNBinding.mappedAddress(in: writer.bytes, answering: .init(high: 1, low: 3)) == nil)
        #expect(STUNBinding.mappedAddress(in: Array(writer.bytes.dropLast()), answering: transaction) == nil)
        #expect(STUNBinding.mappedAddress(in: [], answering: transaction) == nil)
    }

    @Test("interfaces are offered beside the address where that is wanted")
    func beside() throws {
        func offered(_ yaml: String) throws -> FocusConfiguration.InterfaceAddresses {
            let configuration = try configuration(yaml)
            return FocusConfiguration(configuration, keys: try configuration.keys.keySet()).interfaceAddresses
        }
        #expect(try offered("rtc: {node_ip: 203.0.113.7}\n") == .none)
        #expect(try offered("rtc: {node_ip: 203.0.113.7, advertise_internal_ip: true}\n") == .all)
        #expect(try offered("rtc: {use_external_ip: true, stun_servers: [192.0.2.1]}\n") == .ipv6)
        #expect(
            try offered("rtc: {use_external_ip: true, advertise_internal_ip: true, stun_servers: [192.0.2.1]}\n")
                == .all)
    }
}

/// Answers Binding requests: first to a transaction of its own making, then rightly.
private final class STUNServer: ChannelInboundHandler, Sendable {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let address: NetworkAddress

    init(telling address: NetworkAddress) {
        self.address = address
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        let bytes = Array(buffer: envelope.data)
        guard let request = bytes.withUnsafeBytes({ try? STUNMessage(reading: $0) }) else { return }
        let other = NetworkAddress(ipv4: 0x0102_0304, port: 1)
        for (transaction, told) in [
            (STUNMessage.TransactionID(high: 0, low: 0), other), (request.transactionID, address),
        ] {
            var writer = ByteWriter()
            writer.writeSTUNHeader(.successResponse, transactionID: transaction)
            writer.writeSTUNMappedAddress(told, transactionID: transaction)
            let answer = AddressedEnvelope(
                remoteAddress: envelope.remoteAddress, data: ByteBuffer(bytes: writer.bytes))
            context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
        }
    }
}
