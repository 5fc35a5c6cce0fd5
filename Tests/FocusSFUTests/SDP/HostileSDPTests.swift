// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Hostile session descriptions")
struct HostileSDPTests {
    /// Everything a client's text goes through. Refusals are fine; a trap is not, nor an answer that breaks the rules.
    private func exercise(_ bytes: [UInt8]) throws {
        let session: SessionDescription
        let offer: RemoteDescription
        do {
            session = try bytes.withUnsafeBytes { try SDPParser.parse($0) }
            _ = try? Offerer.apply(answer: session, to: session)
            offer = try RemoteDescription(offer: session)
        } catch is SDPError {
            return
        }
        let mids = offer.sections.map(\.mid)
        var decisions: [String: SectionDecision] = [:]
        for (index, mid) in mids.enumerated() {
            decisions[mid] = index % 2 == 0 ? .receive(ReceivePreferences(allowsRED: true)) : .send(SDPSamples.camera)
        }
        let answer = SDPSamples.answerer().answer(offer, decisions: decisions)
        try AnswerInvariants.check(answer, offer)
    }

    @Test("every truncation is refused or answered correctly")
    func truncations() throws {
        let bytes = Array(SDPSamples.firefox.utf8)
        for length in 0...bytes.count {
            try exercise(Array(bytes.prefix(length)))
        }
        let long = Array(SDPSamples.publishing.utf8)
        for length in stride(from: 0, to: long.count, by: 97) {
            try exercise(Array(long.prefix(length)))
        }
    }

    /// Deterministic, so that a failing seed can be run again.
    struct SplitMix: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }

    @Test("changed bytes, lines dropped, doubled and moved", arguments: 0..<8 as Range<UInt64>)
    func mutations(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let sources = SDPSamples.all.map { $0.text.split(separator: "\n").map { Array($0.utf8) } }
        let spice: [UInt8] = Array("0123456789 :;/=,~*-\0\r\u{7F}".utf8) + [0xFF, 0xC3]
        for _ in 0..<60 {
            var lines = sources[Int.random(in: 0..<sources.count, using: &random)]
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let index = Int.random(in: 0..<lines.count, using: &random)
                switch Int.random(in: 0..<5, using: &random) {
                case 0: lines.remove(at: index)
                case 1: lines.insert(lines[index], at: index)
                case 2: lines.swapAt(index, Int.random(in: 0..<lines.count, using: &random))
                case 3:
                    let length = Int.random(in: 0...lines[index].count, using: &random)
                    lines[index] = Array(lines[index].prefix(length))
                default:
                    guard !lines[index].isEmpty else { continue }
                    let position = Int.random(in: 0..<lines[index].count, using: &random)
                    lines[index][position] = spice[Int.random(in: 0..<spice.count, using: &random)]
                }
            }
            try exercise(Array(lines.joined(separator: [UInt8(ascii: "\n")])))
        }
    }

    @Test("the largest description of the smallest sections is answered section by section")
    func manySections() throws {
        let mids = (0..<200).map { "\($0)" }
        var text = SDPSamples.session(mids: mids, extra: SDPSamples.transportLines)
        for mid in mids {
            text += "m=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:\(mid)\na=rtcp-mux\n"
        }
        try exercise(Array(text.utf8))
    }
}
