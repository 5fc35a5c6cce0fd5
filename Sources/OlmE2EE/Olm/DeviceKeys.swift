// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// A device of a user.
package struct DeviceAddress: Hashable, Sendable, CustomStringConvertible {
    package var user: UserID
    package var device: DeviceID

    package init(user: UserID, device: DeviceID) {
        self.user = user
        self.device = device
    }

    package var description: String { "\(user) \(device)" }

    /// Whether the id can be the name of a member in requests and answers. Strings are equal by what they look like, so
    /// that of two ids with an accent, composed and not, one would be given the other's keys. All common ids are ASCII.
    static func isName(_ id: String) -> Bool { id.utf8.allSatisfy { $0 < 0x80 } }

    /// Names the device in the store; unique, because no user id holds a line break.
    var storeKey: String { "\(user.rawValue)\n\(device.rawValue)" }

    init?(storeKey: String) {
        let parts = storeKey.split(separator: "\n", maxSplits: 1)
        guard parts.count == 2, let user = UserID(String(parts[0])), let device = DeviceID(String(parts[1])) else {
            return nil
        }
        self.init(user: user, device: device)
    }
}

/// The keys of a device, which it has signed itself.
package struct DeviceKeys: Hashable, Sendable {
    package var address: DeviceAddress
    /// Unpadded base64, as everywhere.
    package var curve25519: String
    package var ed25519: String
    /// Its owner's self-signing key has signed it.
    package var isCrossSigned: Bool

    /// Characters of a 32-byte key.
    static let keyLength = 43

    static func isKey(_ text: String) -> Bool {
        text.utf8.count == keyLength && UnpaddedBase64.decode(text)?.count == 32
    }

    /// Reads one entry of `device_keys` in the answer of `/keys/query`.
    init(
        _ json: JSONObject, address: DeviceAddress, selfSigningKey: String?,
    ) throws(OlmRefusal) {
        let device = address.device.rawValue
        guard json["user_id"]?.string.flatMap(UserID.init) == address.user,
            json["device_id"]?.string.flatMap(DeviceID.init) == address.device,
            let curve = json["keys"]?["curve25519:\(device)"]?.string, Self.isKey(curve),
            let ed = json["keys"]?["ed25519:\(device)"]?.string, Self.isKey(ed),
            SignedJSON.isSigned(json, by: address.user, name: device, key: ed)
        else { throw .invalidDeviceKeys }
        self.address = address
        self.curve25519 = curve
        self.ed25519 = ed
        self.isCrossSigned =
            selfSigningKey.map { SignedJSON.isSigned(json, by: address.user, name: $0, key: $0) } ?? false
    }

    /// The devices of a user in the answer of `/keys/query`, without those whose keys are not their own.
    package static func devices(of user: UserID, in answer: JSONValue) -> [DeviceKeys] {
        let selfSigning = CrossSigningAnswer.selfSigningKey(of: user, in: answer)
        return (answer["device_keys"]?[user.rawValue]?.object ?? [:]).compactMap { name, value in
            guard let device = DeviceID(name), DeviceAddress.isName(name), let json = value.object else { return nil }
            return try? DeviceKeys(
                json, address: DeviceAddress(user: user, device: device), selfSigningKey: selfSigning)
        }
    }

    init?(_ record: OlmRecord) {
        guard let user = UserID(record.owner), let device = DeviceID(record.key), let json = record.json,
            let curve = json["curve25519"]?.string, let ed = json["ed25519"]?.string
        else { return nil }
        self.address = DeviceAddress(user: user, device: device)
        self.curve25519 = curve
        self.ed25519 = ed
        self.isCrossSigned = json["cross_signed"]?.bool ?? false
    }

    func record(at now: UnixMilliseconds) -> OlmRecord {
        OlmRecord(
            .device, owner: address.user.rawValue, key: address.device.rawValue,
            json: [
                "curve25519": .string(curve25519), "ed25519": .string(ed25519), "cross_signed": .bool(isCrossSigned),
            ], touched: now)
    }
}

/// The cross-signing keys of a user in the answer of `/keys/query`.
enum CrossSigningAnswer {
    /// The user's self-signing key, if the master key has signed it.
    static func selfSigningKey(of user: UserID, in answer: JSONValue) -> String? {
        guard let master = key("master", of: user, in: answer),
            let selfSigning = key("self_signing", of: user, in: answer),
            SignedJSON.isSigned(selfSigning.json, by: user, name: master.key, key: master.key)
        else { return nil }
        return selfSigning.key
    }

    /// One key of a usage with the object it stands in.
    static func key(_ usage: String, of user: UserID, in answer: JSONValue) -> (key: String, json: JSONObject)? {
        guard let json = answer["\(usage)_keys"]?[user.rawValue]?.object,
            json["user_id"]?.string.flatMap(UserID.init) == user,
            json["usage"]?.array?.contains(.string(usage)) == true, let keys = json["keys"]?.object, keys.count == 1,
            let entry = keys.first, let key = entry.value.string, entry.key == "ed25519:\(key)", DeviceKeys.isKey(key)
        else { return nil }
        return (key, json)
    }
}
