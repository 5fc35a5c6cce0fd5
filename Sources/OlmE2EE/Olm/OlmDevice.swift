// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COpenSSLShims
package import CallEvents

/// One end-to-end encrypted device of ours: what it must ask the homeserver for, what it says to other devices and what
/// they say to it (Matrix specification, "End-to-End Encryption").
///
/// Free of input and output but for its ``OlmStore``. It holds no key between two calls: each reads what it needs and
/// stores what it changed, so that a transaction of the store which fails undoes all of it.
package struct OlmDevice: Sendable {
    package enum Algorithm {
        package static let olm = "m.olm.v1.curve25519-aes-sha2"
        package static let megolm = "m.megolm.v1.aes-sha2"
        static let oneTimeKey = "signed_curve25519"
    }

    /// How much is remembered. What goes beyond is forgotten, the longest unused first.
    enum Limit {
        static let sessionsOfPeer = 5
        static let sessions = 20_000
        static let devicesOfUser = 100
        static let devices = 50_000
        static let users = 20_000
        static let seen = 20_000
        static let waiting = 2_000
        static let waitingOfServer = 100
        static let waitingOfSender = 50
        /// Bytes of what waits from one server.
        static let waitingBytesOfServer = 1 << 20
        static let inboundOfUser = 500
        static let inbound = 20_000
        static let unprovenInboundOfUser = 100
        static let unprovenInbound = 10_000
        static let indexes = 50_000
        static let shares = 50_000
        static let rooms = 10_000
        static let encryptedRooms = 100_000
        /// Devices that are owed a fresh session.
        static let renewals = 5_000
        static let renewalsOfServer = 100
        /// Characters of a ciphertext; events have at most 64 KiB.
        static let ciphertext = 1 << 17
    }

    package let address: DeviceAddress
    /// What others encrypt for.
    package let curve25519: String
    /// The fingerprint, which signs.
    package let ed25519: String
    let key: PickleKey
    /// `device_keys` of `/keys/upload`; in every message, so that it is not signed each time.
    package private(set) var signedDeviceKeys: JSONObject = [:]

    /// Users whose devices must be asked for.
    var usersToQuery: Set<UserID> = []
    /// When each of them may be asked for.
    var queryTimes = RetryTimes<UserID>()
    /// Orders messages that wait since the same millisecond.
    var waitingNumber = 0
    /// Messages that had to make room for others since the last ``tidy(in:at:)``.
    var displaced = 0
    /// Devices that get a fresh session because a message of theirs could not be decrypted.
    var devicesToRenew: Set<DeviceAddress> = []
    /// When keys of a device may be claimed.
    package var claimTimes = RetryTimes<DeviceAddress>()

    private init(address: DeviceAddress, account: OlmAccount, key: PickleKey) throws {
        guard let keys = try? JSONValue.parse(account.identityKeys()), let curve = keys["curve25519"]?.string,
            let ed = keys["ed25519"]?.string
        else { throw OlmFault(code: "NO_IDENTITY_KEYS") }
        self.address = address
        self.curve25519 = curve
        self.ed25519 = ed
        self.key = key
        let device = address.device.rawValue
        signedDeviceKeys = try sign(
            [
                "user_id": .string(address.user.rawValue), "device_id": .string(device),
                "algorithms": .array([.string(Algorithm.olm), .string(Algorithm.megolm)]),
                "keys": .object(["curve25519:\(device)": .string(curve25519), "ed25519:\(device)": .string(ed25519)]),
            ], with: account)
    }

    /// A new device; forgets whatever the store holds but the cross-signing keys, which are the user's, and
    /// which rooms are encrypted.
    package init(
        creating address: DeviceAddress, key: PickleKey, in store: any OlmStore, at now: UnixMilliseconds,
    ) throws {
        let account = try OlmAccount()
        try self.init(address: address, account: account, key: key)
        let kept = try [OlmRecord.Kind.seeds, .encryptedRoom, .generation].flatMap {
            try store.records($0, owner: "")
        }
        try store.clear()
        for record in kept {
            try store.put(record)
        }
        try save(account, in: store, at: now)
    }

    /// The stored identity; nil when there is none.
    ///
    /// - Throws: ``OlmFault`` when `key` is not the one it was stored with.
    package init?(restoring user: UserID, key: PickleKey, from store: any OlmStore) throws {
        guard let record = try store.records(.account, owner: "").first, let device = DeviceID(record.key) else {
            return nil
        }
        let account = try OlmAccount(pickle: record.value, key: key)
        try self.init(address: DeviceAddress(user: user, device: device), account: account, key: key)
        for record in try store.records(.user, owner: "") where record.touched == 0 {
            if let user = UserID(record.key) { usersToQuery.insert(user) }
        }
        for record in try store.records(.renewal, owner: Self.dueRenewals) {
            if let address = DeviceAddress(storeKey: record.key) { devicesToRenew.insert(address) }
        }
        for server in try store.owners(.waiting) {
            usersToQuery.formUnion(try store.records(.waiting, owner: server).compactMap { WaitingMessage($0)?.sender })
        }
    }

    // MARK: The account

    func account(from store: any OlmStore) throws -> OlmAccount {
        guard let record = try store.record(.account, owner: "", key: address.device.rawValue) else {
            throw OlmFault(code: "NO_ACCOUNT")
        }
        return try OlmAccount(pickle: record.value, key: key)
    }

    func save(_ account: OlmAccount, in store: any OlmStore, at now: UnixMilliseconds) throws {
        try store.put(
            OlmRecord(.account, key: address.device.rawValue, value: try account.pickle(key: key), touched: now))
    }

    /// `object` with a signature of this device.
    func sign(_ object: JSONObject, with account: OlmAccount) throws -> JSONObject {
        SignedJSON.adding(
            try account.sign(SignedJSON.signedBytes(of: object)), by: address.user,
            keyID: "ed25519:\(address.device)", to: object)
    }

    // MARK: Housekeeping

    /// A number that grows while the device works; kept beside the store as well, it tells when the store is an old
    /// copy.
    package func generation(in store: any OlmStore) throws -> Int64 {
        guard let value = try store.record(.generation, owner: "", key: "")?.value else { return 0 }
        return Int64(OlmBuffer.text(value)) ?? 0
    }

    package func setGeneration(_ generation: Int64, in store: any OlmStore, at now: UnixMilliseconds) throws {
        try store.put(OlmRecord(.generation, value: Array("\(generation)".utf8), touched: now))
    }

    /// Forgets what is beyond the limits or too old; called from time to time.
    ///
    /// - Returns: the messages that waited too long, or had to make room for others.
    package mutating func tidy(in store: any OlmStore, at now: UnixMilliseconds) throws -> Int {
        for (kind, count) in [
            (OlmRecord.Kind.session, Limit.sessions), (.device, Limit.devices), (.user, Limit.users),
            (.seen, Limit.seen), (.inbound, Limit.inbound), (.unprovenInbound, Limit.unprovenInbound),
            (.index, Limit.indexes),
            (.outbound, Limit.rooms), (.encryptedRoom, Limit.encryptedRooms), (.renewal, Limit.devices),
        ] {
            try store.trim(kind, owner: nil, to: count)
        }
        // All of a session or none: one of which it is not known who has its key is not used again.
        while try store.count(.share) > Limit.shares, let fullest = try store.fullestOwner(.share) {
            try store.removeAll(.share, owner: fullest.owner)
        }
        if try store.removeOlder(.oldFallbackKey, than: now - Self.oldFallbackKeyMilliseconds) > 0 {
            let account = try account(from: store)
            account.forgetOldFallbackKey()
            try save(account, in: store, at: now)
        }
        defer { displaced = 0 }
        return try store.removeOlder(.waiting, than: now - Self.waitingMilliseconds) + displaced
    }

    static let oldFallbackKeyMilliseconds: Milliseconds = 3_600_000
    static let waitingMilliseconds: Milliseconds = 3_600_000

    /// Unpadded base64 of the SHA-256 of some text.
    static func digest(_ text: String) -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        let bytes = Array(text.utf8)
        _ = COpenSSLShims_sha256(bytes, bytes.count, &digest)
        return UnpaddedBase64.encode(digest)
    }
}
