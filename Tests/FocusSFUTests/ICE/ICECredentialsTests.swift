// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("ICE credentials, RFC 8839 §5.4")
struct ICECredentialsTests {
    @Test("random bytes become ice-chars of the right length")
    func random() {
        let credentials = ICECredentials(randomBytes: (0..<32).map { UInt8($0 * 8) })
        #expect(credentials.usernameFragment.utf8.count == 8)
        #expect(credentials.password.utf8.count == 24)
        #expect(
            ICECredentials(usernameFragment: credentials.usernameFragment, password: credentials.password)
                == credentials)
    }

    @Test(
        "short, long and foreign characters are refused",
        arguments: [
            ("abc", String(repeating: "p", count: 22)),
            ("abcd", String(repeating: "p", count: 21)),
            ("abc:", String(repeating: "p", count: 22)),
            (String(repeating: "u", count: 257), String(repeating: "p", count: 22)),
            ("abcd", String(repeating: "é", count: 22)),
        ])
    func refused(usernameFragment: String, password: String) {
        #expect(ICECredentials(usernameFragment: usernameFragment, password: password) == nil)
    }
}
