// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COlm

/// A device's long-term keys and the keys it hands out for new sessions (libolm `OlmAccount`).
final class OlmAccount {
    private let memory = OlmMemory(byteCount: olm_account_size(), make: olm_account, clear: olm_clear_account)
    private var account: OpaquePointer { memory.object }

    /// A new identity.
    init() throws(OlmFault) {
        try OlmBuffer.random(olm_create_account_random_length(account), fault: fault) { random, count in
            olm_create_account(account, random, count)
        }
    }

    init(pickle: [UInt8], key: PickleKey) throws(OlmFault) {
        var pickle = pickle
        let result = key.bytes.withBytes { key in
            olm_unpickle_account(account, key.baseAddress, key.count, &pickle, pickle.count)
        }
        guard result != OlmBuffer.error else { throw fault() }
    }

    func pickle(key: PickleKey) throws(OlmFault) -> [UInt8] {
        try OlmBuffer.filled(olm_pickle_account_length(account), fault: fault) { buffer, count in
            key.bytes.withBytes { olm_pickle_account(account, $0.baseAddress, $0.count, buffer, count) }
        }
    }

    /// `{"curve25519": …, "ed25519": …}` as libolm writes it.
    func identityKeys() throws(OlmFault) -> [UInt8] {
        try OlmBuffer.filled(olm_account_identity_keys_length(account), fault: fault) {
            olm_account_identity_keys(account, $0, $1)
        }
    }

    /// An Ed25519 signature in unpadded base64.
    func sign(_ message: [UInt8]) throws(OlmFault) -> String {
        OlmBuffer.text(
            try OlmBuffer.filled(olm_account_signature_length(account), fault: fault) {
                olm_account_sign(account, message, message.count, $0, $1)
            })
    }

    // MARK: Keys for new sessions

    /// As many as libolm keeps; generating more makes it forget the oldest.
    var maximumOneTimeKeyCount: Int { olm_account_max_number_of_one_time_keys(account) }

    /// Those not marked as published: `{"curve25519": {id: key}}`.
    func oneTimeKeys() throws(OlmFault) -> [UInt8] {
        try OlmBuffer.filled(olm_account_one_time_keys_length(account), fault: fault) {
            olm_account_one_time_keys(account, $0, $1)
        }
    }

    func generateOneTimeKeys(_ count: Int) throws(OlmFault) {
        let needed = olm_account_generate_one_time_keys_random_length(account, count)
        try OlmBuffer.random(needed, fault: fault) { olm_account_generate_one_time_keys(account, count, $0, $1) }
    }

    /// The fallback key while it is not marked as published, in the same form.
    func unpublishedFallbackKey() throws(OlmFault) -> [UInt8] {
        try OlmBuffer.filled(olm_account_unpublished_fallback_key_length(account), fault: fault) {
            olm_account_unpublished_fallback_key(account, $0, $1)
        }
    }

    /// The one before stays usable until ``forgetOldFallbackKey()``.
    func generateFallbackKey() throws(OlmFault) {
        try OlmBuffer.random(olm_account_generate_fallback_key_random_length(account), fault: fault) {
            olm_account_generate_fallback_key(account, $0, $1)
        }
    }

    func forgetOldFallbackKey() {
        olm_account_forget_old_fallback_key(account)
    }

    func markKeysAsPublished() {
        _ = olm_account_mark_keys_as_published(account)
    }

    // MARK: Sessions

    /// A session to a device of which a one-time key was claimed.
    func makeOutboundSession(identityKey: String, oneTimeKey: String) throws(OlmFault) -> OlmSession {
        let session = OlmSession()
        let (identity, oneTime) = (Array(identityKey.utf8), Array(oneTimeKey.utf8))
        try OlmBuffer.random(olm_create_outbound_session_random_length(session.object), fault: session.fault) {
            olm_create_outbound_session(
                session.object, account, identity, identity.count, oneTime, oneTime.count, $0, $1)
        }
        return session
    }

    /// The session that a pre-key message begins. Its one-time key stays usable until ``forgetOneTimeKey(of:)``.
    func makeInboundSession(identityKey: String, message: [UInt8]) throws(OlmFault) -> OlmSession {
        let session = OlmSession()
        let identity = Array(identityKey.utf8)
        var message = message
        let result = olm_create_inbound_session_from(
            session.object, account, identity, identity.count, &message, message.count)
        guard result != OlmBuffer.error else { throw session.fault() }
        return session
    }

    /// Harmless for a session that used the fallback key.
    func forgetOneTimeKey(of session: OlmSession) {
        _ = olm_remove_one_time_keys(account, session.object)
    }

    private func fault() -> OlmFault { OlmBuffer.fault(olm_account_last_error(account)) }
}
