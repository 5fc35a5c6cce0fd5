// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COlm
import COpenSSLShims
import CallEvents

/// An Ed25519 key that signs other keys, made from a seed (libolm `OlmPkSigning`; "Cross-signing").
final class CrossSigningKey {
    private let memory = OlmMemory(byteCount: olm_pk_signing_size(), make: olm_pk_signing, clear: olm_clear_pk_signing)
    private var object: OpaquePointer { memory.object }
    /// Unpadded base64.
    let publicKey: String

    static func randomSeed() throws(OlmFault) -> SecretBytes {
        let seed = SecretBytes(count: olm_pk_signing_seed_length()) { buffer in
            COpenSSLShims_random(buffer.baseAddress, Int32(buffer.count)) == 1
        }
        guard let seed else { throw .noRandomness }
        return seed
    }

    init(seed: SecretBytes) throws(OlmFault) {
        var text = [UInt8](repeating: 0, count: olm_pk_signing_public_key_length())
        let object = memory.object
        let result = seed.withBytes { seed in
            olm_pk_signing_key_from_seed(object, &text, text.count, seed.baseAddress, seed.count)
        }
        publicKey = OlmBuffer.text(text)
        guard result != OlmBuffer.error else { throw OlmBuffer.fault(olm_pk_signing_last_error(object)) }
    }

    func sign(_ message: [UInt8]) throws(OlmFault) -> String {
        OlmBuffer.text(
            try OlmBuffer.filled(
                olm_pk_signature_length(), fault: { OlmBuffer.fault(olm_pk_signing_last_error(object)) }
            ) {
                olm_pk_sign(object, message, message.count, $0?.assumingMemoryBound(to: UInt8.self), $1)
            })
    }
}

/// Signatures over JSON objects (Matrix specification, "Signing JSON").
enum SignedJSON {
    /// The bytes that are signed: canonical JSON without `signatures` and `unsigned`.
    static func signedBytes(of object: JSONObject) -> [UInt8] {
        JSONValue.object(object.filter { $0.key != "signatures" && $0.key != "unsigned" }).compactJSON
    }

    /// Adds a signature to those that are there.
    static func adding(
        _ signature: String, by user: UserID, keyID: String, to object: JSONObject,
    ) -> JSONObject {
        var object = object
        var signatures = object["signatures"]?.object ?? [:]
        var own = signatures[user.rawValue]?.object ?? [:]
        own[keyID] = .string(signature)
        signatures[user.rawValue] = .object(own)
        object["signatures"] = .object(signatures)
        return object
    }

    /// Whether `object` is signed by `user` with the Ed25519 key `key`, whose id is `ed25519:` and `name`.
    static func isSigned(_ object: JSONObject, by user: UserID, name: String, key: String) -> Bool {
        let signature = object["signatures"]?[user.rawValue]?["ed25519:\(name)"]?.string
        guard let signature, signature.utf8.count <= 128, key.utf8.count <= 64 else { return false }
        let utility = OlmMemory(byteCount: olm_utility_size(), make: olm_utility, clear: olm_clear_utility)
        let (key, message) = (Array(key.utf8), signedBytes(of: object))
        var consumed = Array(signature.utf8)
        return olm_ed25519_verify(
            utility.object, key, key.count, message, message.count, &consumed, consumed.count) != OlmBuffer.error
    }
}
