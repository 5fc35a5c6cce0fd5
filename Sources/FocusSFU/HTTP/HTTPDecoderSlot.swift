// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOCore
import NIOHTTP1

/// The request decoder's place in a connection's pipeline.
///
/// The decoder stops for good behind a request that could change the protocol, so it is replaced when HTTP goes on, and
/// taken out when it does not. What it had read but not parsed goes to whatever stands behind it then.
struct HTTPDecoderSlot {
    typealias Decoder = ByteToMessageHandler<HTTPRequestDecoder>

    private(set) var decoder: Decoder
    private let limits: NIOHTTPDecoderLimitConfiguration

    init(_ configuration: HTTPServerConfiguration) {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = configuration.headLimit
        limits.maxHeaderListSize = configuration.headLimit
        limits.maxHeaderFieldCount = configuration.headFieldLimit
        self.limits = limits
        self.decoder = Self.makeDecoder(limits)
    }

    mutating func replace(in pipeline: ChannelPipeline.SynchronousOperations) throws {
        let old = decoder
        decoder = Self.makeDecoder(limits)
        try pipeline.addHandler(decoder, position: .after(old))
        pipeline.removeHandler(old, promise: nil)
    }

    func remove(from pipeline: ChannelPipeline.SynchronousOperations) {
        pipeline.removeHandler(decoder, promise: nil)
    }

    private static func makeDecoder(_ limits: NIOHTTPDecoderLimitConfiguration) -> Decoder {
        ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: limits))
    }
}
