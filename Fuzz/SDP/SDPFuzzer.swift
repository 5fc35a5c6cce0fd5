// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import FuzzInput

private let transport = LocalTransport(
    iceUsernameFragment: "evtj",
    icePassword: "VOkJxbRl1RmTxUk/WvJxBt",
    fingerprint: Array(repeating: "AB", count: 32).joined(separator: ":"),
    candidates: ["candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host"],
    isICELite: true,
    sessionID: 1,
    version: 1
)

private let track = OutgoingTrack(
    msid: MediaStreamIdentifier(stream: "PA_a|TR_b", track: "TR_b"),
    ssrc: 1,
    rtxSSRC: 2,
    codec: .vp8,
    cname: "PA_a|TR_b",
    isStereo: true,
    hasDependencyDescriptor: true
)

private let ourOffer = Offerer(transport: transport).offer([
    OfferedSection(mid: "0", content: .dataChannels),
    OfferedSection(mid: "1", content: .track(track)),
    OfferedSection(mid: "2", content: .vacantAudio),
])

/// One session description, taken for an offer to answer and for the answer to an offer of ours.
///
/// The first byte chooses the kind of connection and what the room wants of the sections.
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzSDP(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    var input = FuzzInput(start, count)
    let flags = input.nextByte()
    let text = input.remainder()
    guard let description = try? SDPParser.parse(text) else { return 0 }
    precondition((try? SDPParser.parse(SDPWriter.text(of: description))) != nil, "what we write of it is refused")
    if let offer = try? RemoteDescription(offer: description) { answer(offer, flags) }
    if let applied = try? Offerer.apply(answer: description, to: ourOffer) {
        precondition(applied.sections.count == ourOffer.media.count, "sections lost")
    }
    return 0
}

private func answer(_ offer: RemoteDescription, _ flags: UInt8) {
    let answerer = Answerer(
        transport: transport, connection: flags & 1 == 0 ? .publisher : .single, establishedSetup: nil)
    let preferences = ReceivePreferences(codec: .first(.h264), isStereo: true, allowsDTX: false, allowsRED: true)
    var decisions: [String: SectionDecision] = [:]
    for section in offer.sections {
        decisions[section.mid] =
            switch (Int(flags >> 1) + section.index) % 3 {
            case 0: .receive(preferences)
            case 1: .send(track)
            default: .inactive
            }
    }
    let answer = answerer.answer(offer, decisions: decisions)
    precondition(answer.description.media.count == offer.sections.count, "an answer of another shape than the offer")
    let text = SDPWriter.text(of: answer.description)
    precondition((try? SDPParser.parse(text)) != nil, "an answer that we refuse ourselves")
}
