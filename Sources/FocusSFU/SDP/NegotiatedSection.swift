// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What offer and answer agreed on for one media section: all the transport needs to know to route its packets.
package struct NegotiatedSection: Equatable, Sendable {
    /// Why a decision of the room did not come into force.
    package enum Refusal: Equatable, Sendable {
        /// The section cannot be used at all.
        case obstacle(RemoteSection.Obstacle)
        /// The peer wants no media in the decided direction.
        case direction
        case noCommonCodec
        /// The peer rejected what we offered.
        case rejected
    }

    package var mid: String
    package var index: Int
    package var kind: MediaDescription.Kind
    /// Seen by us: `recvonly` takes media from the client, `sendonly` brings it media, `sendrecv` both.
    package var direction: MediaDirection = .inactive
    package var refusal: Refusal?
    /// The preferred one first. When we send, the first is the one to use.
    package var codecs: [NegotiatedCodec] = []
    package var extensions = HeaderExtensionIDs()
    /// The simulcast layers the client sends, lowest first as it lists them.
    package var restrictionIdentifiers: [String] = []
    /// The track the client says it sends.
    package var remoteMSID: MediaStreamIdentifier?
    package var remoteSSRCs: [UInt32] = []
    package var remoteRepairPairs: [RepairPair] = []
    /// Opus as the client says it will send it (`sprop-stereo=1`, RFC 7587 §6.1).
    package var remoteSendsStereo = false
    /// Opus as the client likes to receive it (`stereo=1`).
    package var remotePrefersStereo = false

    init(_ section: RemoteSection) {
        mid = section.mid
        index = section.index
        kind = section.kind
        guard let opus = section.codecs.first(where: { $0.codec == .opus }) else { return }
        remoteSendsStereo = opus.parameters.value(of: "sprop-stereo") == "1"
        remotePrefersStereo = opus.parameters.value(of: "stereo") == "1"
    }

    /// Media of the client comes in this section.
    var takesMedia: Bool {
        (kind == .audio || kind == .video) && (direction == .recvonly || direction == .sendrecv)
    }

    /// What the client says about the streams it sends.
    mutating func takeStreams(of section: RemoteSection) {
        remoteMSID = section.attributes.msid
        remoteSSRCs = section.attributes.ssrcs
        remoteRepairPairs = section.attributes.repairPairs
    }
}
