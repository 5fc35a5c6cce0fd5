// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// The keys of other devices: whom to ask for, what was answered, sessions to them.
extension OlmDevice {
    /// Answers older than this are asked for again before they are used to send.
    static let devicesAreFreshMilliseconds: Milliseconds = 24 * 3_600_000

    /// Whether anybody's devices must be asked for.
    package var needsQuery: Bool { !usersToQuery.isEmpty }

    /// Whether there is anything to ask the homeserver.
    package var hasWork: Bool { needsQuery || !devicesToRenew.isEmpty }

    /// Somebody's devices have changed; it matters only for those we know.
    package mutating func devicesChanged(of users: [UserID], in store: any OlmStore) throws {
        for user in users where DeviceAddress.isName(user.rawValue) {
            guard let record = try store.record(.user, owner: "", key: user.rawValue) else { continue }
            try store.put(OlmRecord(.user, key: user.rawValue, value: record.value, touched: 0))
            usersToQuery.insert(user)
        }
    }

    /// Notes those of `users` whose devices are not known, or not for sure.
    package mutating func needDevices(
        of users: some Sequence<UserID>, in store: any OlmStore, at now: UnixMilliseconds,
    ) throws {
        for user in users where DeviceAddress.isName(user.rawValue) {
            let asked = try store.record(.user, owner: "", key: user.rawValue)?.touched ?? 0
            if now - asked > Self.devicesAreFreshMilliseconds { usersToQuery.insert(user) }
        }
    }

    /// Up to `count` users to ask for now: as many as one answer can be worked through at once.
    package mutating func takeUsersToQuery(_ count: Int = 20, at now: UnixMilliseconds) -> Set<UserID> {
        let times = queryTimes
        let users = Set(usersToQuery.lazy.filter { times.isDue($0, at: now) }.prefix(count))
        usersToQuery.subtract(users)
        return users
    }

    /// The question could not be asked; it stays.
    package mutating func queryFailed(for users: Set<UserID>) {
        usersToQuery.formUnion(users)
    }

    /// The body of `/keys/query`.
    package static func queryBody(for users: Set<UserID>) -> JSONObject {
        ["device_keys": .object(Dictionary(users.map { ($0.rawValue, .array([])) }) { $1 })]
    }

    /// Takes the answer of `/keys/query`.
    ///
    /// - Returns: what waited for it, and keys that were refused.
    package mutating func takeQuery(
        _ answer: JSONValue, for users: Set<UserID>, in store: any OlmStore, at now: UnixMilliseconds,
    ) throws -> [ToDeviceOutcome] {
        var outcomes: [ToDeviceOutcome] = []
        for user in users.sorted() {
            let waiting = try store.records(.waiting, owner: user.serverName.rawValue).filter {
                WaitingMessage.sender(of: $0) == user
            }
            guard let devices = answer["device_keys"]?[user.rawValue]?.object else {
                // Of a server that did not answer nothing is known; what is stored stays. It is asked again while
                // something waits for the answer, or when somebody is written to.
                queryTimes.failed(user, at: now)
                if !waiting.isEmpty { usersToQuery.insert(user) }
                continue
            }
            queryTimes.succeeded(user, at: now)
            outcomes += try takeDevices(devices, of: user, answer: answer, in: store, at: now)
                .map { .refused($0, from: user) }
            try store.put(OlmRecord(.user, key: user.rawValue, touched: now))
            for record in waiting.reversed() {
                try store.remove(.waiting, owner: record.owner, key: record.key)
                guard let message = WaitingMessage(record) else { continue }
                outcomes.append(try receive(message, mayWait: false, in: store, at: now))
            }
        }
        return outcomes
    }

    private func takeDevices(
        _ devices: JSONObject, of user: UserID, answer: JSONValue, in store: any OlmStore, at now: UnixMilliseconds,
    ) throws -> [OlmRefusal] {
        var refusals: [OlmRefusal] = []
        let selfSigning = CrossSigningAnswer.selfSigningKey(of: user, in: answer)
        var known: [DeviceID: DeviceKeys] = [:]
        for keys in try store.records(.device, owner: user.rawValue).compactMap(DeviceKeys.init) {
            known[keys.address.device] = keys
        }
        var kept: Set<DeviceID> = []
        // Signatures take their time, also those that turn out to be wrong.
        if devices.count > Limit.devicesOfUser { refusals.append(.tooManyDevices) }
        for (name, value) in devices.sorted(by: { $0.key < $1.key }).prefix(Limit.devicesOfUser) {
            do throws(OlmRefusal) {
                guard DeviceAddress.isName(name) else { throw .identifierNotASCII }
                guard let device = DeviceID(name), let json = value.object else { throw .invalidDeviceKeys }
                let keys = try DeviceKeys(
                    json, address: DeviceAddress(user: user, device: device), selfSigningKey: selfSigning)
                if let before = known[device], before.ed25519 != keys.ed25519 || before.curve25519 != keys.curve25519 {
                    kept.insert(device)
                    throw .deviceKeysChanged
                }
                kept.insert(device)
                known[device] = keys
            } catch {
                refusals.append(error)
            }
        }
        for (device, keys) in known {
            if kept.contains(device) {
                try store.put(keys.record(at: now))
            } else {
                try store.remove(.device, owner: user.rawValue, key: device.rawValue)
                try store.removeAll(.session, owner: keys.address.storeKey)
            }
        }
        return refusals
    }

    /// The known devices of a user, ours left out.
    package func devices(of user: UserID, in store: any OlmStore) throws -> [DeviceKeys] {
        try store.records(.device, owner: user.rawValue).compactMap(DeviceKeys.init).filter { $0.address != address }
    }

    /// One known device.
    package func device(_ address: DeviceAddress, in store: any OlmStore) throws -> DeviceKeys? {
        try store.record(.device, owner: address.user.rawValue, key: address.device.rawValue)
            .flatMap(DeviceKeys.init)
    }

    func device(ofSenderKey key: String, of user: UserID, in store: any OlmStore) throws -> DeviceKeys? {
        try store.records(.device, owner: user.rawValue).lazy.compactMap(DeviceKeys.init)
            .first { $0.curve25519 == key }
    }

    // MARK: Claiming

    package func hasSession(with device: DeviceKeys, in store: any OlmStore) throws -> Bool {
        try !store.records(.session, owner: device.address.storeKey).isEmpty
    }

    /// The body of `/keys/claim`.
    package static func claimBody(for devices: [DeviceAddress]) -> JSONObject {
        var users: [String: JSONObject] = [:]
        for device in devices {
            users[device.user.rawValue, default: [:]][device.device.rawValue] = .string(Algorithm.oneTimeKey)
        }
        return ["one_time_keys": .object(users.mapValues { .object($0) }), "timeout": .integer(10_000)]
    }

    /// Makes sessions from the answer of `/keys/claim`.
    ///
    /// - Returns: the devices without one, and why.
    package func takeClaim(
        _ answer: JSONValue, for devices: [DeviceKeys], in store: any OlmStore, at now: UnixMilliseconds,
    ) throws -> [DeviceAddress: OlmRefusal] {
        var refusals: [DeviceAddress: OlmRefusal] = [:]
        let account = try account(from: store)
        for device in devices {
            let (user, name) = (device.address.user, device.address.device.rawValue)
            let keys = answer["one_time_keys"]?[user.rawValue]?[name]?.object ?? [:]
            guard let entry = keys.first(where: { $0.key.hasPrefix(Algorithm.oneTimeKey + ":") }) else {
                refusals[device.address] = .noOneTimeKey
                continue
            }
            guard let object = entry.value.object, let key = object["key"]?.string, DeviceKeys.isKey(key),
                SignedJSON.isSigned(object, by: user, name: name, key: device.ed25519),
                let session = try? account.makeOutboundSession(identityKey: device.curve25519, oneTimeKey: key)
            else {
                refusals[device.address] = .invalidOneTimeKey
                continue
            }
            try save(session, with: device.address, in: store, at: now)
        }
        return refusals
    }

    func save(
        _ session: OlmSession, with device: DeviceAddress, in store: any OlmStore, at now: UnixMilliseconds,
    ) throws {
        try store.put(
            OlmRecord(
                .session, owner: device.storeKey, key: try session.id(), value: try session.pickle(key: key),
                touched: now))
        try store.trim(.session, owner: device.storeKey, to: Limit.sessionsOfPeer)
    }

    // MARK: Sending

    /// The content of an `m.room.encrypted` for one device, with the session that was last of use; nil without one.
    package func encrypt(
        _ type: String, _ content: JSONObject, to device: DeviceKeys, in store: any OlmStore,
    ) throws -> JSONObject? {
        var found: (record: OlmRecord, session: OlmSession)?
        for record in try store.records(.session, owner: device.address.storeKey) where found == nil {
            if let session = try? OlmSession(pickle: record.value, key: key) {
                found = (record, session)
            } else {
                // A damaged one must not stop all messages to the device.
                try store.remove(.session, owner: record.owner, key: record.key)
            }
        }
        guard let (record, session) = found else { return nil }
        var plain = JSONValue.object([
            "type": .string(type), "content": .object(content), "sender": .string(address.user.rawValue),
            "sender_device": .string(address.device.rawValue), "keys": .object(["ed25519": .string(ed25519)]),
            "recipient": .string(device.address.user.rawValue),
            "recipient_keys": .object(["ed25519": .string(device.ed25519)]),
            "sender_device_keys": .object(signedDeviceKeys),
        ]).compactJSON
        defer { OlmBuffer.wipe(&plain) }
        let message = try session.encrypt(plain)
        // Sending says nothing about whether the other side has the session, so it does not count as use.
        try store.put(
            OlmRecord(
                .session, owner: record.owner, key: record.key, value: try session.pickle(key: key),
                touched: record.touched))
        return [
            "algorithm": .string(Algorithm.olm), "sender_key": .string(curve25519),
            "ciphertext": .object([
                device.curve25519: .object([
                    "type": .integer(Int64(message.kind.rawValue)), "body": .string(OlmBuffer.text(message.body)),
                ])
            ]),
        ]
    }
}
