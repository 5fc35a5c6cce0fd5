// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOConcurrencyHelpers
import TURNCreds

@testable import MatrixBridge

/// A store without a database, which fails when told to.
final class MemorySecretStore: SecretStore {
    struct State {
        var secrets: Set<String> = []
        var failure: SecretStoreError?
        /// Says done and does nothing.
        var isLying = false
        /// Operations, reads included.
        var operations = 0
    }

    let state = NIOLockedValueBox(State())

    var secrets: Set<String> { state.withLockedValue { $0.secrets } }

    func insert(_ secret: TURNSecret, realm: String) throws(SecretStoreError) {
        try perform { state in if !state.isLying { state.secrets.insert(secret.exposed) } }
    }

    func remove(_ secret: TURNSecret, realm: String) throws(SecretStoreError) {
        try perform { state in if !state.isLying { state.secrets.remove(secret.exposed) } }
    }

    func contains(_ secret: TURNSecret, realm: String) throws(SecretStoreError) -> Bool {
        try perform { $0.secrets.contains(secret.exposed) }
    }

    func count(realm: String) throws(SecretStoreError) -> Int {
        try perform { $0.secrets.count }
    }

    private func perform<Value: Sendable>(_ body: (inout State) -> Value) throws(SecretStoreError) -> Value {
        let outcome = state.withLockedValue { state -> Result<Value, SecretStoreError> in
            state.operations += 1
            if let failure = state.failure { return .failure(failure) }
            return .success(body(&state))
        }
        return try outcome.get()
    }
}

/// Servers that take every secret, or none that is new.
final class ServersInMemory: SecretProving {
    let refusesNew = NIOLockedValueBox(false)

    func serverThatRefuses(_ new: TURNSecret, whileTaking current: TURNSecret, realm: String) -> String? {
        refusesNew.withLockedValue { $0 } ? "turn:a:3478?transport=udp" : nil
    }
}
