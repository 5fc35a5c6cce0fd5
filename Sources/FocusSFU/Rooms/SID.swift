// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COpenSSLShims

/// Server-given ids: a prefix that tells the kind, then twelve random characters.
///
/// `RM_` room, `PA_` participant session, `TR_` + two letters a track, `EV_` event, `ND_` node.
enum SID {
    private static let alphabet = Array("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789".utf8)

    static func make(_ prefix: String) -> String {
        let characters = Random.bytes(12).map { alphabet[Int($0) % alphabet.count] }
        return prefix + String(decoding: characters, as: UTF8.self)
    }

    /// The prefix of a track id: kind, then source, as `TR_VC` for a camera.
    static func trackPrefix(type: LiveKitTrackType, source: LiveKitTrackSource) -> String {
        let kind = type == .video ? "V" : "A"
        switch source {
        case .camera: return "TR_\(kind)C"
        case .microphone: return "TR_\(kind)M"
        case .screenShare: return "TR_\(kind)S"
        case .screenShareAudio: return "TR_\(kind)s"
        case .unknown, .UNRECOGNIZED: return "TR_\(kind)U"
        }
    }
}

/// Random values from the system's generator, for shells; protocol cores are handed theirs.
package enum Random {
    package static func bytes(_ count: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: count)
        // Without entropy there is no security to be had: stopping is the only safe answer.
        precondition(COpenSSLShims_random(&result, Int32(count)) == 1, "the system gives no random bytes")
        return result
    }

    package static func uint64() -> UInt64 {
        bytes(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    package static func uint32() -> UInt32 {
        UInt32(truncatingIfNeeded: uint64())
    }
}
