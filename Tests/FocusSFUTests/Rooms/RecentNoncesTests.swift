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
        for number in 0..<RecentNonces.maximumCount { #expect(nonces.insert(Data("\(number)".utf8))) }
        #expect(!nonces.insert(Data("0".utf8)))
        #expect(nonces.insert(Data("more".utf8)))
        #expect(nonces.insert(Data("0".utf8)))
        #expect(!nonces.insert(Data("2".utf8)))
    }
}
