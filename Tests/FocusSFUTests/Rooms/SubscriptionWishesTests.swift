// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("What a client has said about single tracks")
struct SubscriptionWishesTests {
    private let now = MonotonicTime.zero.advanced(byMilliseconds: 1_000)

    @Test("the last word counts, then the general choice")
    func lastWord() {
        var wishes = SubscriptionWishes()
        #expect(wishes.wants("a", byDefault: true))
        #expect(!wishes.wants("a", byDefault: false))
        wishes.want("a")
        #expect(wishes.wants("a", byDefault: false))
        wishes.decline("a")
        #expect(!wishes.wants("a", byDefault: true))
        wishes.forget("a")
        #expect(wishes.wants("a", byDefault: true))
    }

    @Test("a track that never comes is waited for, and given up once")
    func patience() {
        var wishes = SubscriptionWishes()
        for sid in ["a", "b"] {
            let isAwaited = wishes.await(sid, at: now)
            #expect(isAwaited)
        }
        wishes.came("b")
        let end = now.advanced(byMilliseconds: SubscriptionWishes.patienceMilliseconds)
        let (first, second) = (wishes.takeExpired(at: end), wishes.takeExpired(at: end))
        #expect(first == ["a"])
        #expect(second == [])
        #expect(!wishes.wants("a", byDefault: false))
        #expect(wishes.wants("b", byDefault: false))
    }

    @Test("not more tracks are waited for than the limit, and none with an endless name")
    func bounds() {
        var wishes = SubscriptionWishes()
        func isAwaited(_ sid: String) -> Bool { wishes.await(sid, at: now) }
        for number in 0..<SubscriptionWishes.awaitedLimit { #expect(isAwaited("\(number)")) }
        #expect(!isAwaited("one more"))
        #expect(isAwaited("0"))
        wishes.came("0")
        #expect(!isAwaited(String(repeating: "x", count: 1_000)))
        #expect(isAwaited("one more"))
    }
}
