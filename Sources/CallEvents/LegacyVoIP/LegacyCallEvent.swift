// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One event of a one-to-one call (Matrix specification, "Voice over IP").
package enum LegacyCallEvent: Equatable, Sendable {
    case invite(CallInvite)
    case candidates(CallCandidates)
    case answer(CallAnswer)
    case selectAnswer(CallSelectAnswer)
    case reject(CallReject)
    case negotiate(CallNegotiate)
    case hangup(CallHangup)
    case streamMetadataChanged(CallStreamMetadataChange)
    case assertedIdentity(CallAssertedIdentity)

    package var header: LegacyCallHeader {
        switch self {
        case .invite(let event): event.header
        case .candidates(let event): event.header
        case .answer(let event): event.header
        case .selectAnswer(let event): event.header
        case .reject(let event): event.header
        case .negotiate(let event): event.header
        case .hangup(let event): event.header
        case .streamMetadataChanged(let event): event.header
        case .assertedIdentity(let event): event.header
        }
    }

    /// Nil when the event is none of a one-to-one call.
    static func decode(_ event: RoomEvent) throws(EventRefusal) -> LegacyCallEvent? {
        switch event.type {
        case "m.call.invite": .invite(try CallInvite(event))
        case "m.call.candidates": .candidates(try CallCandidates(event))
        case "m.call.answer": .answer(try CallAnswer(event))
        case "m.call.select_answer": .selectAnswer(try CallSelectAnswer(event))
        case "m.call.reject": .reject(try CallReject(event))
        case "m.call.negotiate": .negotiate(try CallNegotiate(event))
        case "m.call.hangup": .hangup(try CallHangup(event))
        case "m.call.sdp_stream_metadata_changed", "org.matrix.call.sdp_stream_metadata_changed":
            .streamMetadataChanged(try CallStreamMetadataChange(event))
        case "m.call.asserted_identity", "org.matrix.call.asserted_identity":
            .assertedIdentity(try CallAssertedIdentity(event))
        default: nil
        }
    }
}
