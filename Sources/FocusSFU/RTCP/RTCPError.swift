// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Why bytes are not an RTCP packet.
package enum RTCPError: Error, Equatable, Sendable {
    case truncated(needed: Int, available: Int)
    /// The version field is not 2.
    case version(UInt8)
    /// The packet type is none of RTCP's (192 to 223, RFC 5761 §4).
    case packetType(UInt8)
    /// Padding where there may be none, or longer than its packet.
    case padding
    /// A text or list whose length does not fit its packet.
    case length
    /// An application feedback packet of another application.
    case unknownApplication(UInt32)

    init(_ error: ByteReaderError) {
        switch error {
        case .truncated(let needed, let available): self = .truncated(needed: needed, available: available)
        }
    }
}
