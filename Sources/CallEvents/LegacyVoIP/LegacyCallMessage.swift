// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What we say in a one-to-one call (Matrix specification, "Voice over IP").
package enum LegacyCallMessage: Equatable, Sendable {
    /// A session description with the id of the one stream that it brings; nil when it brings none.
    package struct Description: Equatable, Sendable {
        package var sdp: String
        package var streamID: String?

        package init(sdp: String, streamID: String?) {
            self.sdp = sdp
            self.streamID = streamID
        }
    }

    case invite(Description, invitee: UserID, lifetime: Milliseconds)
    case answer(Description)
    /// All our candidates are in the description; nothing follows.
    case endOfCandidates
    case selectAnswer(partyID: String)
    /// - Parameter reason: js-sdk shows it, though the specification has it for hang-ups alone.
    case reject(CallHangup.Reason)
    case negotiate(LegacyCallDescription.Kind, Description)
    case hangup(CallHangup.Reason)

    package var eventType: String {
        switch self {
        case .invite: "m.call.invite"
        case .answer: "m.call.answer"
        case .endOfCandidates: "m.call.candidates"
        case .selectAnswer: "m.call.select_answer"
        case .reject: "m.call.reject"
        case .negotiate: "m.call.negotiate"
        case .hangup: "m.call.hangup"
        }
    }

    /// How long an offer waits for its answer.
    package static let negotiationLifetime: Milliseconds = 60_000

    /// The content of the event.
    package func content(from end: LegacyCallEnd) -> JSONObject {
        var content: JSONObject = ["call_id": .string(end.key.callID)]
        switch end.version {
        case .zero: content["version"] = .integer(0)
        case .one: content["version"] = .string("1")
        }
        if let party = end.partyID { content["party_id"] = .string(party) }
        switch self {
        case .invite(let description, let invitee, let lifetime):
            content["offer"] = Self.description(.offer, description)
            content["invitee"] = .string(invitee.rawValue)
            content["lifetime"] = .integer(lifetime)
            content["capabilities"] = Self.capabilities
            Self.add(Self.metadata(description), to: &content)
        case .answer(let description):
            content["answer"] = Self.description(.answer, description)
            content["capabilities"] = Self.capabilities
            Self.add(Self.metadata(description), to: &content)
        case .endOfCandidates:
            content["candidates"] = .array([.object(["candidate": .string("")])])
        case .selectAnswer(let party):
            content["selected_party_id"] = .string(party)
        case .negotiate(let kind, let description):
            content["description"] = Self.description(kind, description)
            content["lifetime"] = .integer(Self.negotiationLifetime)
            Self.add(Self.metadata(description), to: &content)
        case .reject(let reason), .hangup(let reason):
            if let word = reason.word { content["reason"] = .string(word) }
        }
        return content
    }

    private static func description(_ kind: LegacyCallDescription.Kind, _ description: Description) -> JSONValue {
        .object(["type": .string(kind.rawValue), "sdp": .string(description.sdp)])
    }

    /// We can do neither: no transfers, no tones.
    private static let capabilities = JSONValue.object([
        "m.call.transferee": .bool(false), "m.call.dtmf": .bool(false),
    ])

    /// Under the name of MSC3077, too: the only one that js-sdk before February 2026 reads.
    private static func add(_ metadata: JSONValue, to content: inout JSONObject) {
        content["sdp_stream_metadata"] = metadata
        content["org.matrix.msc3077.sdp_stream_metadata"] = metadata
    }

    private static func metadata(_ description: Description) -> JSONValue {
        guard let stream = description.streamID else { return .object([:]) }
        return .object([
            stream: .object([
                "purpose": .string("m.usermedia"), "audio_muted": .bool(false), "video_muted": .bool(false),
            ])
        ])
    }
}

extension CallHangup.Reason {
    /// As events spell it; nil for what has no word of its own.
    var word: String? {
        switch self {
        case .other, .unstated: nil
        case .iceFailed, .iceTimeout, .inviteTimeout, .userHangup, .userMediaFailed, .userBusy, .unknownError,
            .replaced,
            .signallingTimeout, .answeredElsewhere, .transferred:
            rawValue
        }
    }
}
