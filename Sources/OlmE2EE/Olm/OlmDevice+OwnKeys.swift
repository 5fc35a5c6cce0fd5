// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// Our own keys at the homeserver: device keys, one-time keys, the fallback key, cross-signing.
extension OlmDevice {
    /// How many one-time keys wait for others, when all is well.
    package static let oneTimeKeyTarget = 50

    /// The body of the `/keys/upload` that is due; nil when none is.
    ///
    /// Keys that were made and not marked as published are in it again.
    /// - Parameters:
    ///   - oneTimeKeyCount: What the homeserver still has.
    ///   - unusedFallbackKeyTypes: Of which algorithms nobody has used the fallback key; nil when it did not say.
    package func keyUpload(
        oneTimeKeyCount: Int, unusedFallbackKeyTypes: [String]?, in store: any OlmStore, at now: UnixMilliseconds,
    ) throws -> JSONObject? {
        let account = try account(from: store)
        var oneTime = try Self.keys(account.oneTimeKeys())
        var fallback = try Self.keys(account.unpublishedFallbackKey())
        if oneTimeKeyCount < Self.oneTimeKeyTarget / 2 {
            // What a reported count can make us generate is bounded by the target, whatever it says.
            let missing = Self.oneTimeKeyTarget - max(0, oneTimeKeyCount) - oneTime.count
            if missing > 0 {
                try account.generateOneTimeKeys(missing)
                oneTime = try Self.keys(account.oneTimeKeys())
            }
        }
        // The one before the last is gone for good. Hence once an hour at most: whoever uses them up shall not make
        // slow messages of others unreadable.
        let isReplaceable = try store.record(.oldFallbackKey, owner: "", key: "") == nil
        if let unusedFallbackKeyTypes, fallback.isEmpty, isReplaceable,
            !unusedFallbackKeyTypes.contains(Algorithm.oneTimeKey)
        {
            try account.generateFallbackKey()
            fallback = try Self.keys(account.unpublishedFallbackKey())
            // The first one takes nobody's place, and may be replaced as soon as it was used.
            if try store.record(.fallbackKey, owner: "", key: "") != nil {
                try store.put(OlmRecord(.oldFallbackKey, touched: now))
            }
            try store.put(OlmRecord(.fallbackKey, touched: now))
        }
        guard !oneTime.isEmpty || !fallback.isEmpty else { return nil }
        var body: JSONObject = [:]
        if !oneTime.isEmpty { body["one_time_keys"] = .object(try signed(oneTime, with: account)) }
        if !fallback.isEmpty {
            body["fallback_keys"] = .object(try signed(fallback, with: account, more: ["fallback": .bool(true)]))
        }
        try save(account, in: store, at: now)
        return body
    }

    /// The homeserver took what ``keyUpload(oneTimeKeyCount:unusedFallbackKeyTypes:in:at:)`` made.
    package func keysWereUploaded(in store: any OlmStore, at now: UnixMilliseconds) throws {
        let account = try account(from: store)
        account.markKeysAsPublished()
        try save(account, in: store, at: now)
    }

    /// `{"curve25519": {id: key}}`
    private static func keys(_ json: [UInt8]) throws -> [String: String] {
        (try JSONValue.parse(json)["curve25519"]?.object ?? [:]).compactMapValues(\.string)
    }

    private func signed(
        _ keys: [String: String], with account: OlmAccount, more: JSONObject = [:],
    ) throws -> JSONObject {
        var objects: JSONObject = [:]
        for (id, key) in keys {
            let object = more.merging(["key": .string(key)]) { $1 }
            objects["\(Algorithm.oneTimeKey):\(id)"] = .object(try sign(object, with: account))
        }
        return objects
    }
}

// MARK: - Cross-signing

extension OlmDevice {
    /// What makes others take the device for its owner's.
    package struct CrossSigning: Sendable {
        /// The body of `/keys/device_signing/upload`.
        package var keys: JSONObject
        /// The body of `/keys/signatures/upload`.
        package var signatures: JSONObject
    }

    /// A new identity for the user: all three keys, since a homeserver may not take one of them alone.
    package func makeCrossSigning(in store: any OlmStore, at now: UnixMilliseconds) throws -> CrossSigning {
        let seeds = try ["master", "self_signing", "user_signing"].map { usage in
            (usage, try CrossSigningKey.randomSeed())
        }
        for (usage, seed) in seeds {
            try store.put(OlmRecord(.seeds, key: usage, value: try key.seal(seed), touched: now))
        }
        return try crossSigning(from: store)
    }

    /// The requests for the keys that are stored; the same ones may be sent again.
    package func crossSigning(from store: any OlmStore) throws -> CrossSigning {
        let master = try crossSigningKey("master", from: store)
        var keys: JSONObject = [:]
        for usage in ["master", "self_signing", "user_signing"] {
            var object = publicKey(try crossSigningKey(usage, from: store).publicKey, usage: usage)
            if usage == "master" {
                // Others see the device's signature only if it comes with the key.
                object = try sign(object, with: try account(from: store))
            } else {
                object = SignedJSON.adding(
                    try master.sign(SignedJSON.signedBytes(of: object)), by: address.user,
                    keyID: "ed25519:\(master.publicKey)", to: object)
            }
            keys["\(usage)_key"] = .object(object)
        }
        return CrossSigning(keys: keys, signatures: try signatures(from: store))
    }

    /// The self-signing key over the device, and the device over the master key.
    private func signatures(from store: any OlmStore) throws -> JSONObject {
        let selfSigning = try crossSigningKey("self_signing", from: store)
        let master = try crossSigningKey("master", from: store).publicKey
        let device = signedDeviceKeys
        let signedDevice = SignedJSON.adding(
            try selfSigning.sign(SignedJSON.signedBytes(of: device)), by: address.user,
            keyID: "ed25519:\(selfSigning.publicKey)", to: device)
        let signedMaster = try sign(publicKey(master, usage: "master"), with: try account(from: store))
        return [
            address.user.rawValue: .object([
                address.device.rawValue: .object(signedDevice), master: .object(signedMaster),
            ])
        ]
    }

    private func publicKey(_ key: String, usage: String) -> JSONObject {
        [
            "user_id": .string(address.user.rawValue), "usage": .array([.string(usage)]),
            "keys": .object(["ed25519:\(key)": .string(key)]),
        ]
    }

    private func crossSigningKey(_ usage: String, from store: any OlmStore) throws -> CrossSigningKey {
        guard let record = try store.record(.seeds, owner: "", key: usage), let seed = key.open(record.value) else {
            throw OlmFault(code: "NO_SEED")
        }
        return try CrossSigningKey(seed: seed)
    }

    /// How the homeserver's copy of our keys compares with ours.
    package enum ServerCopy: Equatable, Sendable {
        case complete
        /// The device has no keys there yet.
        case missing
        /// It has other keys there: our store is older than that, or of another installation.
        case otherDeviceKeys
        /// There is no cross-signing identity there, or one whose seeds we do not have.
        case otherCrossSigning
        /// All is there but the signature over our device.
        case unsigned
    }

    /// - Parameter answer: Of `/keys/query` for our own user.
    package func compare(_ answer: JSONValue, in store: any OlmStore) throws -> ServerCopy {
        let user = address.user
        guard let json = answer["device_keys"]?[user.rawValue]?[address.device.rawValue]?.object else {
            return .missing
        }
        let selfSigning = CrossSigningAnswer.selfSigningKey(of: user, in: answer)
        guard let keys = try? DeviceKeys(json, address: address, selfSigningKey: selfSigning),
            keys.curve25519 == curve25519, keys.ed25519 == ed25519
        else { return .otherDeviceKeys }
        for usage in ["master", "self_signing"] {
            guard let ours = try? crossSigningKey(usage, from: store).publicKey,
                CrossSigningAnswer.key(usage, of: user, in: answer)?.key == ours
            else { return .otherCrossSigning }
        }
        guard selfSigning != nil else { return .otherCrossSigning }
        return keys.isCrossSigned ? .complete : .unsigned
    }
}
