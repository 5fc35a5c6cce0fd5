// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COlm

/// One Olm message, as events carry it.
struct OlmMessage: Equatable {
    enum Kind: Int {
        /// Begins a session, and repeats until the other side answered.
        case preKey = 0
        case normal = 1
    }

    var kind: Kind
    /// Unpadded base64.
    var body: [UInt8]
}

/// A double ratchet with one other device (libolm `OlmSession`).
final class OlmSession {
    private let memory = OlmMemory(byteCount: olm_session_size(), make: olm_session, clear: olm_clear_session)
    var object: OpaquePointer { memory.object }

    /// Without keys; ``OlmAccount`` gives them.
    init() {}

    init(pickle: [UInt8], key: PickleKey) throws(OlmFault) {
        var pickle = pickle
        let result = key.bytes.withBytes { key in
            olm_unpickle_session(object, key.baseAddress, key.count, &pickle, pickle.count)
        }
        guard result != OlmBuffer.error else { throw fault() }
    }

    func pickle(key: PickleKey) throws(OlmFault) -> [UInt8] {
        try OlmBuffer.filled(olm_pickle_session_length(object), fault: fault) { buffer, count in
            key.bytes.withBytes { olm_pickle_session(object, $0.baseAddress, $0.count, buffer, count) }
        }
    }

    /// The same on both sides.
    func id() throws(OlmFault) -> String {
        OlmBuffer.text(
            try OlmBuffer.filled(olm_session_id_length(object), fault: fault) { olm_session_id(object, $0, $1) })
    }

    /// Whether a pre-key message belongs to this session.
    func matches(identityKey: String, message: [UInt8]) -> Bool {
        let identity = Array(identityKey.utf8)
        var message = message
        return olm_matches_inbound_session_from(object, identity, identity.count, &message, message.count) == 1
    }

    func encrypt(_ plain: [UInt8]) throws(OlmFault) -> OlmMessage {
        guard let kind = OlmMessage.Kind(rawValue: olm_encrypt_message_type(object)) else { throw fault() }
        let length = olm_encrypt_message_length(object, plain.count)
        var body: [UInt8] = []
        try OlmBuffer.random(olm_encrypt_random_length(object), fault: fault) { random, randomCount in
            var written = 0
            body = [UInt8](unsafeUninitializedCapacity: length) { buffer, initialized in
                buffer.initialize(repeating: 0)
                written = olm_encrypt(
                    object, plain, plain.count, random, randomCount, buffer.baseAddress, length)
                initialized = length
            }
            return written
        }
        return OlmMessage(kind: kind, body: body)
    }

    /// The caller wipes what it gets.
    func decrypt(_ message: OlmMessage) throws(OlmFault) -> [UInt8] {
        var measured = message.body
        let length = olm_decrypt_max_plaintext_length(object, message.kind.rawValue, &measured, measured.count)
        guard length != OlmBuffer.error else { throw fault() }
        var consumed = message.body
        return try OlmBuffer.decrypted(length, fault: fault) {
            olm_decrypt(object, message.kind.rawValue, &consumed, consumed.count, $0, $1)
        }
    }

    func fault() -> OlmFault { OlmBuffer.fault(olm_session_last_error(object)) }
}
