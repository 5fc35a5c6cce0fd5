// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

@testable import FocusSFU
import FuzzInput
import SwiftProtobuf

/// Signal frames and data packets. The first byte chooses: 0 a binary frame, 1 a text frame, 2 a data packet.
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzSignal(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    var input = FuzzInput(start, count)
    let form = input.nextByte() % 3
    let bytes = Array(input.remainder())
    switch form {
    case 0:
        _ = try? SignalCodec.decode(binary: bytes)
    case 1:
        guard let text = String(validating: bytes, as: UTF8.self) else { return 0 }
        _ = try? SignalCodec.decode(text: text)
    default:
        guard let packet = try? LiveKitDataPacket(serializedBytes: bytes) else { return 0 }
        let again: [UInt8]? = try? packet.serializedBytes()
        precondition(again != nil, "a packet that cannot be forwarded")
    }
    return 0
}
