// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Overload of a worker")
struct OverloadTests {
    @Test("video goes first, key frames last, and shedding ends below where it began")
    func levels() {
        var overload = Overload()
        func refusals() -> [DropReason?] { [overload.refusal(isKeyFrame: false), overload.refusal(isKeyFrame: true)] }
        #expect(!overload.isShedding && refusals() == [nil, nil])
        overload.note(backlogPercent: Overload.videoPercent - 1)
        #expect(refusals() == [nil, nil])
        overload.note(backlogPercent: Overload.videoPercent)
        #expect(overload.isShedding && refusals() == [.overloadVideo, nil])
        overload.note(backlogPercent: Overload.restPercent)
        #expect(refusals() == [.overloadVideo, nil])
        overload.note(backlogPercent: Overload.keyFramePercent)
        #expect(refusals() == [.overloadVideo, .overloadKeyFrame])
        overload.note(backlogPercent: Overload.videoPercent)
        #expect(refusals() == [.overloadVideo, nil])
        overload.note(backlogPercent: Overload.restPercent - 1)
        #expect(!overload.isShedding && refusals() == [nil, nil])
    }
}
