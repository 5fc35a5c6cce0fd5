// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FoundationEssentials
import SwiftProtobuf

/// Signal messages as WebSocket frames: protobuf in binary frames, its JSON form in text frames.
enum SignalCodec {
    enum Refusal: Error, Equatable {
        case malformed
        /// A message kind that is newer than we are, or none at all.
        case empty
    }

    static func decode(binary bytes: [UInt8]) throws(Refusal) -> LiveKitSignalRequest.OneOf_Message {
        guard let request = try? LiveKitSignalRequest(serializedBytes: bytes) else { throw .malformed }
        guard let message = request.message else { throw .empty }
        return message
    }

    static func decode(text: String) throws(Refusal) -> LiveKitSignalRequest.OneOf_Message {
        var options = JSONDecodingOptions()
        options.ignoreUnknownFields = true
        guard let request = try? LiveKitSignalRequest(jsonString: text, options: options) else { throw .malformed }
        guard let message = request.message else { throw .empty }
        return message
    }

    static func encode(_ response: LiveKitSignalResponse) -> [UInt8] {
        // Our own message: required fields do not exist in proto3, so this cannot fail.
        (try? response.serializedBytes()) ?? []
    }

    static func encodeText(_ response: LiveKitSignalResponse) -> String {
        (try? response.jsonString()) ?? "{}"
    }
}

extension [UInt8] {
    var asData: Data { Data(self) }
}
