// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
import Logging
package import OlmE2EE

/// Messages to other devices, and events of encrypted rooms.
extension BotEncryption: ToDeviceMessaging, RoomEventEncrypting {
    /// Devices in one request.
    private static let maximumBatch = 100
    /// Members of a room that we encrypt in.
    static let maximumMembers = 2_000
    /// Devices of all of them.
    private static let maximumDevices = 10_000
    private static let maximumTries = 3

    package func send(
        _ type: String, _ contents: [DeviceAddress: JSONObject],
    ) async -> [DeviceAddress: ToDeviceFailure] {
        guard state == .ready else { return contents.mapValues { _ in .noDevice } }
        var failures: [DeviceAddress: ToDeviceFailure] = [:]
        var known: [DeviceKeys: JSONObject] = [:]
        do {
            try database.transactionInPlace { connection in
                try device?.needDevices(of: Set(contents.keys.map(\.user)), in: OlmTable(connection), at: now)
            }
            try await askForDevices()
            try database.transactionInPlace { connection in
                for (address, content) in contents {
                    switch try device?.device(address, in: OlmTable(connection)) {
                    case nil: failures[address] = .unknownDevice
                    case .some(let keys) where !keys.isCrossSigned: failures[address] = .notCrossSigned
                    case .some(let keys): known[keys] = content
                    }
                }
            }
        } catch {
            return contents.mapValues { _ in .refused("\(error)") }
        }
        return await deliver(type, known).merging(failures) { $1 }
    }

    /// Sends to those who have a session, then makes the missing sessions, a batch at a time, and sends to those: a
    /// server that does not answer delays and spoils nobody else's message.
    private func deliver(_ type: String, _ contents: [DeviceKeys: JSONObject]) async -> [DeviceAddress: ToDeviceFailure]
    {
        var missing: [DeviceKeys] = []
        do {
            missing = try database.transactionInPlace { connection in
                try contents.keys.filter { try device?.hasSession(with: $0, in: OlmTable(connection)) == false }
            }
        } catch {
            return Dictionary(contents.keys.map { ($0.address, .refused("\(error)")) }) { $1 }
        }
        let waiting = Set(missing.map(\.address))
        var failures = await sendOlm(type, contents.filter { !waiting.contains($0.key.address) })
        while !missing.isEmpty {
            let batch = Array(missing.prefix(Self.maximumBatch))
            missing.removeFirst(batch.count)
            do {
                let refused = try await claim(batch)
                let rest = Dictionary(
                    batch.filter { refused[$0.address] == nil }.map { ($0, contents[$0] ?? [:]) }
                ) { $1 }
                failures.merge(refused.mapValues { .noSession($0) }) { $1 }
                failures.merge(await sendOlm(type, rest)) { $1 }
            } catch {
                for keys in batch { failures[keys.address] = .refused("\(error)") }
                logger.warning(
                    "One-time keys could not be claimed",
                    metadata: ["devices": "\(batch.count)", "error.message": "\(error)"])
            }
        }
        return failures
    }

    /// Encrypts with the sessions that are there, and sends.
    func sendOlm(
        _ type: String, _ contents: [DeviceKeys: JSONObject],
    ) async -> [DeviceAddress: ToDeviceFailure] {
        var failures: [DeviceAddress: ToDeviceFailure] = [:]
        var rest = Array(contents)
        while !rest.isEmpty {
            let batch = rest.prefix(Self.maximumBatch)
            rest.removeFirst(batch.count)
            do {
                // The ratchets are stored before anything leaves: a message key is used once.
                let messages = try database.transactionInPlace { connection in
                    try batch.compactMap { keys, content in
                        try device?.encrypt(type, content, to: keys, in: OlmTable(connection))
                            .map { (keys.address, $0) }
                    }
                }
                try await sendToDevices("m.room.encrypted", Dictionary(messages) { $1 })
            } catch {
                for (keys, _) in batch { failures[keys.address] = .refused("\(error)") }
                logger.warning(
                    "Messages to devices could not be sent",
                    metadata: ["type": "\(type)", "devices": "\(batch.count)", "error.message": "\(error)"])
            }
        }
        return failures
    }

    /// One request, again with the same transaction when the homeserver does not answer.
    private func sendToDevices(_ type: String, _ contents: [DeviceAddress: JSONObject]) async throws {
        guard let masquerade, !contents.isEmpty else { return }
        var messages: [String: JSONObject] = [:]
        for (address, content) in contents {
            messages[address.user.rawValue, default: [:]][address.device.rawValue] = .object(content)
        }
        let transactionID = nextTransactionID()
        let body = messages.mapValues { JSONValue.object($0) }
        var failures = 0
        while true {
            do throws(MatrixClientError) {
                try await client.sendToDevice(type, body, as: masquerade, transactionID: transactionID)
                return
            } catch {
                failures += 1
                guard error.isTransient, failures < Self.maximumTries else { throw error }
            }
            try await clock.sleep(
                RetryPolicy.homeserver.delayMilliseconds(failures: failures, random: Double.random(in: 0..<1)))
        }
    }

    // MARK: Rooms

    package func isEncrypted(_ room: RoomID) async -> Bool {
        let known: Bool?
        do {
            known = try database.transactionInPlace { connection in
                let store = OlmTable(connection)
                if try OlmDevice.isEncrypted(room, in: store) { return true }
                guard facts.facts(of: room)?.isEncrypted == true else { return nil }
                // State may change, and facts are forgotten; that a room was encrypted is not.
                try OlmDevice.sawEncryption(in: room, store: store, at: now)
                return true
            }
        } catch {
            logger.error(
                "Whether a room is encrypted could not be looked up",
                metadata: ["matrix.room_id": "\(room)", "error.code": "\(error)"])
            return true
        }
        if let known { return known }
        // Right after the start the rooms are being read.
        for _ in 0..<50 where facts.facts(of: room) == nil {
            guard (try? await clock.sleep(200)) != nil else { break }
        }
        return facts.facts(of: room)?.isEncrypted ?? true
    }

    package func encrypted(
        _ type: String, _ content: JSONObject, in room: RoomID,
    ) async throws(RoomEncryptionFailure) -> JSONObject {
        await settled()
        switch state {
        case .ready: break
        case .starting: throw .notReady
        case .unavailable(let problem): throw .noDevice(problem)
        }
        do {
            for _ in 0..<Self.maximumTries {
                guard let members = facts.facts(of: room)?.joined, members.count <= Self.maximumMembers else {
                    throw RoomEncryptionFailure.unknownMembers
                }
                let sessionID = try await share(room, with: members)
                let encrypted = try database.transactionInPlace { connection in
                    try device?.encrypt(type, content, in: room, store: OlmTable(connection))
                }
                // Meanwhile another event may have begun a session, whose key is not with everybody yet.
                if let encrypted, let sessionID, encrypted["session_id"]?.string == sessionID { return encrypted }
            }
            throw RoomEncryptionFailure.notReady
        } catch let failure as RoomEncryptionFailure {
            throw failure
        } catch let error as MatrixClientError {
            throw .homeserver(error)
        } catch {
            throw .store("\(error)")
        }
    }

    /// Gives the room's key to every device of its members that lacks it.
    ///
    /// - Returns: the id of the session; nil without a device.
    private func share(_ room: RoomID, with members: Set<UserID>) async throws -> String? {
        try database.transactionInPlace { connection in
            try device?.needDevices(of: members, in: OlmTable(connection), at: now)
        }
        try await askForDevices()
        let distribution = try database.transactionInPlace { connection in
            let store = OlmTable(connection)
            let devices = try members.flatMap { try device?.devices(of: $0, in: store) ?? [] }
            guard devices.count <= Self.maximumDevices else { throw RoomEncryptionFailure.unknownMembers }
            let distribution = try device?.distribution(of: room, to: devices, in: store, at: now)
            if let distribution { try device?.willBeSent(distribution, in: store, at: now) }
            return distribution
        }
        guard let distribution, let device else { return nil }
        guard !distribution.recipients.isEmpty || !distribution.refused.isEmpty else { return distribution.sessionID }
        let contents = Dictionary(distribution.recipients.map { ($0, distribution.content) }) { $1 }
        let failures = await deliver("m.room_key", contents)
        let reached = distribution.recipients.map(\.address).filter { failures[$0] == nil }
        try database.transactionInPlace { connection in
            try device.wereSent(distribution, to: reached, told: [], in: OlmTable(connection), at: now)
        }
        await tell(distribution, of: device)
        guard distribution.hasHolders || !reached.isEmpty || distribution.recipients.isEmpty else {
            throw RoomEncryptionFailure.nobodyReached
        }
        return distribution.sessionID
    }

    /// Says to devices that get no key why; the event does not wait for it.
    private func tell(_ distribution: RoomKeyDistribution, of device: OlmDevice) async {
        let withheld = distribution.withheld(senderKey: device.curve25519)
        let refused = Array(distribution.refused.map(\.address).prefix(Self.maximumBatch))
        guard !refused.isEmpty else { return }
        do {
            try await sendToDevices("m.room_key.withheld", Dictionary(refused.map { ($0, withheld) }) { $1 })
            try database.transactionInPlace { connection in
                try device.wereSent(distribution, to: [], told: refused, in: OlmTable(connection), at: now)
            }
        } catch {
            logger.warning(
                "Devices could not be told that they get no room key",
                metadata: ["matrix.room_id": "\(distribution.room)", "error.message": "\(error)"])
        }
    }
}
