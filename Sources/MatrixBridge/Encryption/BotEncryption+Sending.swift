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

    /// Makes the missing sessions, and sends.
    private func deliver(_ type: String, _ contents: [DeviceKeys: JSONObject]) async -> [DeviceAddress: ToDeviceFailure]
    {
        var failures: [DeviceAddress: ToDeviceFailure] = [:]
        do {
            let missing = try database.transactionInPlace { connection in
                try contents.keys.filter { try device?.hasSession(with: $0, in: OlmTable(connection)) == false }
            }
            failures = try await claim(missing).mapValues { .noSession($0) }
        } catch {
            return Dictionary(contents.keys.map { ($0.address, .refused("\(error)")) }) { $1 }
        }
        let rest = contents.filter { failures[$0.key.address] == nil }
        return await sendOlm(type, rest).merging(failures) { $1 }
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
        if facts.facts(of: room)?.isEncrypted == true { return true }
        let stored = try? database.transactionInPlace { connection in
            try device?.hasEncrypted(in: room, store: OlmTable(connection)) ?? false
        }
        return stored ?? false
    }

    package func encrypted(
        _ type: String, _ content: JSONObject, in room: RoomID,
    ) async throws(RoomEncryptionFailure) -> JSONObject {
        await settled()
        switch state {
        case .ready: break
        case .starting: throw .noDevice("it is being set up")
        case .unavailable(let problem): throw .noDevice(problem)
        }
        guard let members = facts.facts(of: room)?.joined, members.count <= Self.maximumMembers else {
            throw .unknownMembers
        }
        do {
            try await share(room, with: members)
            let encrypted = try database.transactionInPlace { connection in
                try device?.encrypt(type, content, in: room, store: OlmTable(connection))
            }
            guard let encrypted else { throw RoomEncryptionFailure.noDevice("it was replaced") }
            return encrypted
        } catch let failure as RoomEncryptionFailure {
            throw failure
        } catch let error as MatrixClientError {
            throw .homeserver(error)
        } catch {
            throw .store("\(error)")
        }
    }

    /// Gives the room's key to every device of its members that lacks it.
    private func share(_ room: RoomID, with members: Set<UserID>) async throws {
        try database.transactionInPlace { connection in
            try device?.needDevices(of: members, in: OlmTable(connection), at: now)
        }
        try await askForDevices()
        let distribution = try database.transactionInPlace { connection in
            let store = OlmTable(connection)
            let devices = try members.flatMap { try device?.devices(of: $0, in: store) ?? [] }
            return try device?.distribution(of: room, to: devices, in: store, at: now)
        }
        guard let distribution, let device else { return }
        guard !distribution.recipients.isEmpty || !distribution.refused.isEmpty else { return }
        let contents = Dictionary(distribution.recipients.map { ($0, distribution.content) }) { $1 }
        let failures = await deliver("m.room_key", contents)
        let withheld = distribution.withheld(senderKey: device.curve25519)
        let refused = Array(distribution.refused.map(\.address).prefix(Self.maximumBatch))
        try await sendToDevices("m.room_key.withheld", Dictionary(refused.map { ($0, withheld) }) { $1 })
        let reached = distribution.recipients.map(\.address).filter { failures[$0] == nil }
        try database.transactionInPlace { connection in
            try device.wereSent(distribution, to: reached, told: refused, in: OlmTable(connection), at: now)
        }
    }
}
