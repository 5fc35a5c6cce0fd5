// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Who has left a room lately")
struct DeparturesTests {
    private func info(_ identity: String) -> LiveKitParticipantInfo {
        var info = LiveKitParticipantInfo()
        info.identity = identity
        info.metadata = String(repeating: "m", count: 1_000)
        return info
    }

    private func time(_ seconds: UInt64) -> MonotonicTime {
        MonotonicTime.zero.advanced(byMilliseconds: seconds * 1000)
    }

    @Test("those after a time are told, and those that a dead socket swallowed; not those who are back")
    func since() {
        var departures = Departures()
        for (index, name) in ["early", "swallowed", "late", "back"].enumerated() {
            departures.add(info(name), at: time(UInt64(index) * 100))
        }
        departures.returned("back")
        let told = departures.infos(since: time(150))
        #expect(told.map(\.identity) == ["swallowed", "late"])
        #expect(told.allSatisfy { $0.metadata.isEmpty })
    }

    @Test("the oldest are forgotten first")
    func bounds() {
        var departures = Departures()
        for number in 0...Departures.maximumCount { departures.add(info("\(number)"), at: time(UInt64(number))) }
        let told = departures.infos(since: time(0))
        #expect(told.count == Departures.maximumCount)
        #expect(told.first?.identity == "1")
    }
}
