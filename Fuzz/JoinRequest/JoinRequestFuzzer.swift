// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

@testable import FocusSFU
import FuzzInput
import NIOHTTP1
import SwiftProtobuf

/// What a client says when it opens the signal socket. The first byte chooses the form of what follows:
///
/// 0 a query of either generation, 1 a serialized join request, 2 the same packed with gzip, 3 gzip alone.
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzJoinRequest(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    var input = FuzzInput(start, count)
    let form = input.nextByte()
    let bytes = Array(input.remainder())
    switch form & 3 {
    case 0:
        let request = HTTPRequest(method: .GET, target: "/rtc?" + String(decoding: bytes, as: UTF8.self))
        join(request.queryValue, isVersion1Path: form & 4 != 0)
    case 1:
        wrap(bytes, .none)
    case 2:
        wrap(bytes, .gzip)
    default:
        let inflated = try? Gunzip.inflate(bytes, limit: 4096)
        precondition(inflated?.count ?? 0 <= 4096, "inflated over the limit")
    }
    return 0
}

private func wrap(_ bytes: [UInt8], _ compression: LiveKitWrappedJoinRequest.Compression) {
    var wrapped = LiveKitWrappedJoinRequest()
    wrapped.compression = compression
    wrapped.joinRequest = bytes.asData
    guard let serialized: [UInt8] = try? wrapped.serializedBytes() else { return }
    let text = Base64URL.encode(serialized)
    join({ $0 == "join_request" ? text : nil }, isVersion1Path: true)
}

private func join(_ query: (String) -> String?, isVersion1Path: Bool) {
    do throws(JoinParameters.Refusal) {
        let parameters = try JoinParameters(
            query: query, isVersion1Path: isVersion1Path, userAgent: "Firefox/1", clientAddress: "192.0.2.1")
        precondition(parameters.client.address == "192.0.2.1", "an address the client chose")
    } catch {
        precondition(!error.body.isEmpty, "a refusal without a reason")
    }
}
