// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import TURNCreds
import Testing

@testable import MatrixBridge

@Suite("coturn's userdb in PostgreSQL: what is said when it does not work")
struct PostgreSQLSecretStoreTests {
    @Test(
        "no part of a password is shown, however the URL is written",
        arguments: [
            "postgresql://u:hidden@[::1", "postgresql://u:hidden@h:port/d", "postgresql://u:hid@den@h.invalid/d",
            "postgresql://u:hidden@127.0.0.1:1/d", "postgresql://u:hidden@h/d?nothing=x",
            "postgresql://u:hidden%zz@127.0.0.1:1/d",
        ])
    func secrecy(url: String) {
        let store = PostgreSQLSecretStore(address: Secret(url))
        do throws(SecretStoreError) {
            _ = try store.count(realm: "r")
            Issue.record("there is no such server")
        } catch {
            #expect(!error.description.contains("hid") && !error.description.contains("den"))
        }
    }
}
