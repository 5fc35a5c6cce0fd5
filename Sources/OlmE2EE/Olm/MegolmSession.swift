// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COlm

/// A Megolm session with which we encrypt events of one room (libolm `OlmOutboundGroupSession`).
final class MegolmOutbound {
    private let memory = OlmMemory(
        byteCount: olm_outbound_group_session_size(), make: olm_outbound_group_session,
        clear: olm_clear_outbound_group_session)
    private var object: OpaquePointer { memory.object }

    /// A new session.
    init() throws(OlmFault) {
        try OlmBuffer.random(olm_init_outbound_group_session_random_length(object), fault: fault) { random, count in
            olm_init_outbound_group_session(object, random?.assumingMemoryBound(to: UInt8.self), count)
        }
    }

    init(pickle: [UInt8], key: PickleKey) throws(OlmFault) {
        var pickle = pickle
        let result = key.bytes.withBytes { key in
            olm_unpickle_outbound_group_session(object, key.baseAddress, key.count, &pickle, pickle.count)
        }
        guard result != OlmBuffer.error else { throw fault() }
    }

    func pickle(key: PickleKey) throws(OlmFault) -> [UInt8] {
        try OlmBuffer.filled(olm_pickle_outbound_group_session_length(object), fault: fault) { buffer, count in
            key.bytes.withBytes { olm_pickle_outbound_group_session(object, $0.baseAddress, $0.count, buffer, count) }
        }
    }

    func id() throws(OlmFault) -> String {
        OlmBuffer.text(
            try OlmBuffer.filled(olm_outbound_group_session_id_length(object), fault: fault) {
                olm_outbound_group_session_id(object, $0?.assumingMemoryBound(to: UInt8.self), $1)
            })
    }

    /// What others decrypt with, from the next message on.
    func sessionKey() throws(OlmFault) -> String {
        OlmBuffer.text(
            try OlmBuffer.filled(olm_outbound_group_session_key_length(object), fault: fault) {
                olm_outbound_group_session_key(object, $0?.assumingMemoryBound(to: UInt8.self), $1)
            })
    }

    /// How many messages were encrypted.
    var messageCount: UInt32 { olm_outbound_group_session_message_index(object) }

    func encrypt(_ plain: [UInt8]) throws(OlmFault) -> String {
        OlmBuffer.text(
            try OlmBuffer.filled(olm_group_encrypt_message_length(object, plain.count), fault: fault) {
                olm_group_encrypt(object, plain, plain.count, $0?.assumingMemoryBound(to: UInt8.self), $1)
            })
    }

    private func fault() -> OlmFault { OlmBuffer.fault(olm_outbound_group_session_last_error(object)) }
}

/// A Megolm session of another device, for the events it encrypts (libolm `OlmInboundGroupSession`).
final class MegolmInbound {
    private let memory = OlmMemory(
        byteCount: olm_inbound_group_session_size(), make: olm_inbound_group_session,
        clear: olm_clear_inbound_group_session)
    private var object: OpaquePointer { memory.object }

    /// - Parameter sessionKey: As `m.room_key` carries it.
    init(sessionKey: String) throws(OlmFault) {
        let key = Array(sessionKey.utf8)
        guard olm_init_inbound_group_session(object, key, key.count) != OlmBuffer.error else { throw fault() }
    }

    init(pickle: [UInt8], key: PickleKey) throws(OlmFault) {
        var pickle = pickle
        let result = key.bytes.withBytes { key in
            olm_unpickle_inbound_group_session(object, key.baseAddress, key.count, &pickle, pickle.count)
        }
        guard result != OlmBuffer.error else { throw fault() }
    }

    func pickle(key: PickleKey) throws(OlmFault) -> [UInt8] {
        try OlmBuffer.filled(olm_pickle_inbound_group_session_length(object), fault: fault) { buffer, count in
            key.bytes.withBytes { olm_pickle_inbound_group_session(object, $0.baseAddress, $0.count, buffer, count) }
        }
    }

    func id() throws(OlmFault) -> String {
        OlmBuffer.text(
            try OlmBuffer.filled(olm_inbound_group_session_id_length(object), fault: fault) {
                olm_inbound_group_session_id(object, $0?.assumingMemoryBound(to: UInt8.self), $1)
            })
    }

    /// Messages before this one cannot be read.
    var firstKnownIndex: UInt32 { olm_inbound_group_session_first_known_index(object) }

    func decrypt(_ ciphertext: String) throws(OlmFault) -> (plain: [UInt8], index: UInt32) {
        var measured = Array(ciphertext.utf8)
        let length = olm_group_decrypt_max_plaintext_length(object, &measured, measured.count)
        guard length != OlmBuffer.error else { throw fault() }
        var consumed = Array(ciphertext.utf8)
        var index: UInt32 = 0
        let plain = try OlmBuffer.decrypted(length, fault: fault) {
            olm_group_decrypt(object, &consumed, consumed.count, $0.assumingMemoryBound(to: UInt8.self), $1, &index)
        }
        return (plain, index)
    }

    private func fault() -> OlmFault { OlmBuffer.fault(olm_inbound_group_session_last_error(object)) }
}
