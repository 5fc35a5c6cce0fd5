// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FoundationEssentials
import Testing

@testable import FocusSFU

@Suite("Nonces of the server API")
struct RecentNoncesTests {
    @Test("a nonce is new once, until as many others came as are kept")
    func once() {
        var nonces = RecentNonces()
        func isNew(_ text: String) -> Bool { nonces.insert(Data(text.utf8)) }
        for number in 0..<RecentNonces.maximumCount { #expect(isNew("\(number)")) }
        #expect(!isNew("0"))
        #expect(isNew("more"))
        #expect(isNew("0"))
        #expect(!isNew("2"))
    }
}
