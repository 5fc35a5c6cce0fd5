// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The protection profiles this focus accepts, by their number in the use_srtp extension (RFC 5764 §4.1.2, RFC 7714
/// §14.2).
package enum SRTPProfile: UInt16, CaseIterable, Sendable {
    /// AES in counter mode with an 80-bit HMAC-SHA1 tag. Every WebRTC endpoint has it.
    case aes128CmHmacSha1Tag80 = 0x0001
    /// AES-GCM with a 128-bit tag, preferred: half the cost of the other.
    case aeadAes128Gcm = 0x0007

    /// Bytes of the master key and of the session encryption keys.
    package static let keyLength = 16
    /// Bytes of the session authentication key; AEAD has none.
    package static let authenticationKeyLength = 20
    /// Bytes of the explicit index, with its encryption flag, at the end of each SRTCP packet.
    package static let rtcpIndexLength = 4
    /// The most that protection adds to any packet: what a send slot keeps free.
    package static let maximumOverhead = 20

    /// Bytes of the master salt and of the session salts.
    package var saltLength: Int {
        switch self {
        case .aes128CmHmacSha1Tag80: 14
        case .aeadAes128Gcm: 12
        }
    }

    /// Bytes of the authentication tag, the same for RTP and RTCP.
    package var tagLength: Int {
        switch self {
        case .aes128CmHmacSha1Tag80: 10
        case .aeadAes128Gcm: 16
        }
    }

    /// Bytes that the exporter must give: two master keys and two master salts.
    package var keyingMaterialLength: Int { 2 * (Self.keyLength + saltLength) }

    /// The list for the use_srtp extension in OpenSSL's words, most wanted first.
    package static let negotiationList = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"
}

/// Why a pair of SRTP contexts could not be made.
package enum SRTPError: Error, Equatable, Sendable {
    /// OpenSSL gave no cipher context: out of memory, or a build without AES.
    case cipherUnavailable
}
