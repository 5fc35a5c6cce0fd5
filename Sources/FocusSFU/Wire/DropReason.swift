// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Why a datagram, or a part of it, went no further. Every refusal on the media path has one, and each is counted.
package enum DropReason: UInt8, CaseIterable, Sendable {
    case tooShort
    case tooLong
    case unknownProtocol
    case unknownPeer

    case stunMalformed
    case stunNotARequest
    case stunUnknownUsername
    case stunMissingIntegrity
    case stunWrongIntegrity
    case stunTooManyFailures
    case stunWrongFingerprint
    case stunUnknownAttribute
    case iceRoleConflict

    case dtlsMalformed
    case dtlsTooManyHandshakes
    case dtlsFingerprintMismatch
    case dtlsFailed
    case dtlsBeforeICE

    case srtpBeforeKeys
    case srtpMalformed
    case srtpAuthentication
    case srtpReplayed
    case srtpTooOld
    case srtpKeyLimit

    case rtpMalformed
    case rtpUnknownStream
    case rtpUnknownPayloadType
    case rtpTooManyStreams
    case rtpPaddingOnly
    case rtpDuplicate

    case rtcpMalformed
    case rtcpUnknownStream
    case rtcpTooMuch

    case sctpMalformed
    case sctpBeforeHandshake
    case dataMessageTooLong
    case dataMalformed
    case dataNotPermitted
    case dataUnknownChannel
    case dataReplayed
    case dataReceiverSlow
    case dataTooMuch

    case sendBufferFull
    case sendBufferFullAudio
    case sendBufferFullKeyFrame
    case sendBufferFullVideo
    case sendUnreachable
    case overloadVideo
    case overloadKeyFrame
}

/// What became of one input.
package enum Disposition: Equatable, Sendable {
    case accepted
    case dropped(DropReason)
}

/// Plain counters, one for each ``DropReason``. Owned by one worker, read by copying.
package struct DropCounters: Sendable {
    private var counts = [UInt64](repeating: 0, count: DropReason.allCases.count)

    package init() {}

    package mutating func count(_ reason: DropReason, times: UInt64 = 1) {
        counts[Int(reason.rawValue)] &+= times
    }

    package subscript(reason: DropReason) -> UInt64 {
        counts[Int(reason.rawValue)]
    }

    package static func + (left: Self, right: Self) -> Self {
        var sum = left
        for index in sum.counts.indices { sum.counts[index] &+= right.counts[index] }
        return sum
    }
}
