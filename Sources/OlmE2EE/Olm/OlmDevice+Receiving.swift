// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// A decrypted to-device message of a cross-signed device.
package struct ToDeviceMessage: Equatable, Sendable {
    package var sender: DeviceAddress
    package var type: String
    package var content: JSONObject

    package init(sender: DeviceAddress, type: String, content: JSONObject) {
        self.sender = sender
        self.type = type
        self.content = content
    }
}

/// What became of a to-device message.
package enum ToDeviceOutcome: Equatable, Sendable {
    case message(ToDeviceMessage)
    /// Events of this Megolm session can be read now.
    case roomKey(RoomID, sessionID: String)
    /// It is kept until the devices of its sender are known.
    case waiting
    /// It had no purpose but to arrive.
    case dummy
    case refused(OlmRefusal, from: UserID?)
}

/// Messages of other devices.
extension OlmDevice {
    /// After this time a device may have another fresh session.
    static let renewalMilliseconds: Milliseconds = 3_600_000

    /// Takes one to-device event of a transaction or a sync.
    package mutating func receive(
        _ event: JSONValue, in store: any OlmStore, at now: UnixMilliseconds,
    ) throws -> ToDeviceOutcome {
        guard let sender = event["sender"]?.string.flatMap(UserID.init), let type = event["type"]?.string,
            type.utf8.count <= MatrixText.maximumByteCount, let content = event["content"]?.object
        else { return .refused(.malformed, from: nil) }
        guard DeviceAddress.isName(sender.rawValue) else { return .refused(.identifierNotASCII, from: sender) }
        switch type {
        case "m.room.encrypted": return try receive(content, from: sender, in: store, at: now)
        case "m.room_key_request": return .refused(.roomKeyRequest, from: sender)
        case "m.room_key.withheld", "org.matrix.room_key.withheld":
            // The other side has no session with us: begin one, at most as often as after a broken message.
            if content["code"]?.string == "m.no_olm", let key = content["sender_key"]?.string,
                let device = try device(ofSenderKey: key, of: sender, in: store)
            {
                try renew(device, in: store, at: now)
            }
            return .refused(.roomKeyWithheld, from: sender)
        default: return .refused(.notEncrypted, from: sender)
        }
    }

    private mutating func receive(
        _ content: JSONObject, from sender: UserID, in store: any OlmStore, at now: UnixMilliseconds,
    ) throws -> ToDeviceOutcome {
        do {
            guard content["algorithm"]?.string == Algorithm.olm else { throw OlmRefusal.unknownAlgorithm }
            guard let senderKey = content["sender_key"]?.string, DeviceKeys.isKey(senderKey),
                let ciphertexts = content["ciphertext"]?.object
            else { throw OlmRefusal.malformed }
            guard let ciphertext = ciphertexts[curve25519] else { throw OlmRefusal.notForUs }
            guard let kind = ciphertext["type"]?.integer.flatMap({ OlmMessage.Kind(rawValue: Int(clamping: $0)) }),
                let body = ciphertext["body"]?.string, !body.isEmpty, body.utf8.count <= Limit.ciphertext,
                UnpaddedBase64.decode(body) != nil
            else { throw OlmRefusal.malformed }
            // With the sender, so that nobody makes another's message a repetition by sending it first.
            let digest = Self.digest("\(sender.rawValue)\n\(senderKey)\n\(body)")
            waitingNumber += 1
            return try receive(
                WaitingMessage(
                    sender: sender, digest: digest, senderKey: senderKey,
                    message: OlmMessage(kind: kind, body: Array(body.utf8)), number: waitingNumber),
                mayWait: true, in: store, at: now)
        } catch let refusal as OlmRefusal {
            return .refused(refusal, from: sender)
        }
    }

    /// - Parameter mayWait: Whether the sender's devices can still be asked for.
    mutating func receive(
        _ waiting: WaitingMessage, mayWait: Bool, in store: any OlmStore, at now: UnixMilliseconds,
    ) throws -> ToDeviceOutcome {
        let (sender, digest, message) = (waiting.sender, waiting.digest, waiting.message)
        do {
            guard try store.record(.seen, owner: "", key: digest) == nil else { throw OlmRefusal.repetition }
            let device = try device(ofSenderKey: waiting.senderKey, of: sender, in: store)
            guard let device, device.isCrossSigned || !mayWait else {
                guard mayWait else { throw OlmRefusal.unknownDevice }
                return try wait(waiting, in: store, at: now)
            }
            guard var opened = try open(message, from: device, in: store) else {
                try renew(device, in: store, at: now)
                throw OlmRefusal.undecryptable
            }
            defer { OlmBuffer.wipe(&opened.plain) }
            // A message that another device wrote, and this one passes on as its own, uses nothing up.
            let inside = try checked(opened.plain, from: device)
            try save(opened.session, with: device.address, in: store, at: now)
            if let account = opened.account { try save(account, in: store, at: now) }
            try store.put(OlmRecord(.seen, key: digest, touched: now))
            return try take(inside, from: device, in: store, at: now)
        } catch let refusal as OlmRefusal {
            return .refused(refusal, from: sender)
        }
    }

    private mutating func wait(
        _ message: WaitingMessage, in store: any OlmStore, at now: UnixMilliseconds,
    ) throws -> ToDeviceOutcome {
        let server = message.sender.serverName.rawValue
        let waiting = try store.records(.waiting, owner: server)
        let ofSender = waiting.filter { WaitingMessage.sender(of: $0) == message.sender }
        guard !ofSender.contains(where: { $0.key.hasSuffix("\n\(message.digest)") }) else { return .waiting }
        let record = message.record(at: now)
        let bytes = waiting.reduce(record.value.count) { $0 + $1.value.count }
        guard ofSender.count < Limit.waitingOfSender, waiting.count < Limit.waitingOfServer,
            bytes <= Limit.waitingBytesOfServer
        else { throw OlmRefusal.tooManyWaiting }
        if try store.count(.waiting) >= Limit.waiting, let fullest = try store.fullestOwner(.waiting) {
            // One server with many users takes no room from the others.
            guard fullest.count > waiting.count else { throw OlmRefusal.tooManyWaiting }
            try store.trim(.waiting, owner: fullest.owner, to: fullest.count - 1)
            displaced += 1
        }
        try store.put(record)
        usersToQuery.insert(message.sender)
        return .waiting
    }

    /// A decrypted message and what its decryption changed, which is not stored yet.
    private struct Opened {
        var plain: [UInt8]
        var session: OlmSession
        /// Without the one-time key that the message used.
        var account: OlmAccount?
    }

    /// Decrypts with the sessions that the sender has with us, or with the one that the message begins; nil when none
    /// can.
    private func open(
        _ message: OlmMessage, from device: DeviceKeys, in store: any OlmStore,
    ) throws -> Opened? {
        let senderKey = device.curve25519
        for record in try store.records(.session, owner: device.address.storeKey) {
            guard let session = try? OlmSession(pickle: record.value, key: key) else { continue }
            if message.kind == .preKey, !session.matches(identityKey: senderKey, message: message.body) { continue }
            guard let plain = try? session.decrypt(message) else {
                // The one-time key of the session is used up: there is no other way to read this message.
                if message.kind == .preKey { return nil }
                continue
            }
            return Opened(plain: plain, session: session)
        }
        guard message.kind == .preKey else { return nil }
        let account = try account(from: store)
        guard let session = try? account.makeInboundSession(identityKey: senderKey, message: message.body),
            let plain = try? session.decrypt(message)
        else { return nil }
        account.forgetOneTimeKey(of: session)
        return Opened(plain: plain, session: session, account: account)
    }

    /// The checks of "Validation of incoming decrypted events".
    private func checked(_ plain: [UInt8], from device: DeviceKeys) throws(OlmRefusal) -> JSONValue {
        guard let event = try? JSONValue.parse(plain) else { throw .malformedPlaintext }
        guard event["sender"]?.string.flatMap(UserID.init) == device.address.user else { throw .wrongSender }
        guard event["recipient"]?.string.flatMap(UserID.init) == address.user,
            event["recipient_keys"]?["ed25519"]?.string == ed25519
        else { throw .wrongRecipient }
        guard event["keys"]?["ed25519"]?.string == device.ed25519 else { throw .wrongFingerprint }
        return event
    }

    private func take(
        _ event: JSONValue, from device: DeviceKeys, in store: any OlmStore, at now: UnixMilliseconds,
    ) throws -> ToDeviceOutcome {
        guard let type = event["type"]?.string, type.utf8.count <= MatrixText.maximumByteCount,
            let content = event["content"]?.object
        else { throw OlmRefusal.malformedPlaintext }
        guard type != "m.room.encrypted" else { throw OlmRefusal.nestedEncryption }
        guard device.isCrossSigned else { throw OlmRefusal.notCrossSigned }
        let message = ToDeviceMessage(sender: device.address, type: type, content: content)
        switch message.type {
        case "m.dummy": return .dummy
        case "m.forwarded_room_key": throw OlmRefusal.forwardedRoomKey
        case "m.room_key": return try takeRoomKey(message, in: store, at: now)
        default: return .message(message)
        }
    }

    // MARK: Fresh sessions

    static let dueRenewals = "due"

    private mutating func renew(_ device: DeviceKeys, in store: any OlmStore, at now: UnixMilliseconds) throws {
        let name = device.address.storeKey
        let last = try store.record(.renewal, owner: "", key: name)?.touched
        if let last, now - last < Self.renewalMilliseconds, now >= last { return }
        guard try store.record(.renewal, owner: Self.dueRenewals, key: name) == nil else { return }
        // One server with many devices keeps nobody waiting.
        let server = device.address.user.serverName
        guard devicesToRenew.count < Limit.renewals,
            devicesToRenew.count(where: { $0.user.serverName == server }) < Limit.renewalsOfServer
        else { return }
        try store.put(OlmRecord(.renewal, owner: Self.dueRenewals, key: name, touched: now))
        devicesToRenew.insert(device.address)
    }

    /// Devices to which a one-time key is to be claimed and an `m.dummy` sent now. They stay due, also over a restart,
    /// until ``wasRenewed(_:in:at:)``.
    package func devicesToRenew(at now: UnixMilliseconds) -> Set<DeviceAddress> {
        devicesToRenew.filter { claimTimes.isDue($0, at: now) }
    }

    /// The dummy went out to the device, or the device is gone.
    package mutating func wasRenewed(
        _ device: DeviceAddress, in store: any OlmStore, at now: UnixMilliseconds,
    ) throws {
        devicesToRenew.remove(device)
        try store.remove(.renewal, owner: Self.dueRenewals, key: device.storeKey)
        try store.put(OlmRecord(.renewal, key: device.storeKey, touched: now))
    }
}
