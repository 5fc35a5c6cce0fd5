// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Logging
import OlmE2EE

/// The device comes into being, and its keys to the homeserver.
extension BotEncryption {
    /// For a homeserver that refuses us a device: its operator may change something, and each try may leave a device.
    private static let retry = RetryPolicy(
        firstDelayMilliseconds: 600_000, factor: 2, maximumDelayMilliseconds: 6 * 3_600_000)

    /// Rounds of asking what the homeserver has and sending what it lacks.
    private static let maximumRounds = 5

    /// Makes a device if there is none, and the homeserver's copy of its keys complete.
    ///
    /// - Throws: ``MatrixClientError`` when trying again may help.
    func setUp() async throws {
        for _ in 0..<Self.maximumRounds {
            do {
                if try await isComplete() {
                    becameReady()
                    return
                }
            } catch MatrixClientError.refused(let refusal) where refusal.status < 500 && refusal.status != 429 {
                return becameUnavailable(
                    "the homeserver refuses the bot a device or its keys (\(refusal.code.rawValue): "
                        + "\(refusal.message)); generate the registration anew with `callbridge "
                        + "generate-registration`, so that it has io.element.msc4190, and restart the homeserver")
            }
        }
        becameUnavailable("the homeserver does not return the keys that the bot uploads")
    }

    /// One round.
    private func isComplete() async throws -> Bool {
        guard let device else {
            try await makeDevice()
            return false
        }
        if isBehind {
            try await replaceDevice(because: "the database is older than what the device has done, as after a restore")
            return false
        }
        // Without the device, which may not exist there.
        let answer = try await client.keys(["query"], OlmDevice.queryBody(for: [bot]), as: .init(userID: bot))
        let copy = try database.transactionInPlace { try device.compare(answer, in: OlmTable($0)) }
        switch copy {
        case .complete: return true
        case .missing, .otherDeviceKeys:
            try await replaceDevice(because: "the homeserver does not have its keys")
        case .otherCrossSigning:
            let identity = try database.transactionInPlace {
                try device.makeCrossSigning(in: OlmTable($0), at: now)
            }
            _ = try await client.keys(["device_signing", "upload"], identity.keys, as: address(of: device))
            _ = try await client.keys(["signatures", "upload"], identity.signatures, as: address(of: device))
        case .unsigned:
            let identity = try database.transactionInPlace { try device.crossSigning(from: OlmTable($0)) }
            _ = try await client.keys(["signatures", "upload"], identity.signatures, as: address(of: device))
        }
        return false
    }

    /// A new device in place of one that is of no use any more; its keys are uploaded, the rest ``setUp()`` does.
    func replaceDevice(because reason: String) async throws {
        guard let device else { return }
        logger.warning(
            "The bot gets a new device; what was sent to the old one cannot be read any more",
            metadata: ["matrix.device_id": "\(device.address.device)", "reason": "\(reason)"])
        try? await client.deleteDevice(device.address.device, of: bot)
        state = .starting
        try await makeDevice()
    }

    private func address(of device: OlmDevice) -> MatrixClient.Masquerade {
        MatrixClient.Masquerade(userID: bot, deviceID: device.address.device)
    }

    /// A new device with its keys at the homeserver. What the last one could read, this one cannot.
    private func makeDevice() async throws {
        var generator = SystemRandomNumberGenerator()
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        let name = String((0..<10).map { _ in letters.randomElement(using: &generator) ?? "A" })
        guard let id = DeviceID(name) else { return }
        try await client.putDevice(id, named: "Callbridge", of: bot)
        let address = DeviceAddress(user: bot, device: id)
        let made = try database.transactionInPlace { connection in
            try OlmDevice(creating: address, key: key, in: OlmTable(connection), at: now)
        }
        device = made
        isBehind = false
        try raiseGeneration()
        held = HeldEvents()
        let body = try database.transactionInPlace { connection in
            let store = OlmTable(connection)
            let keys = try made.keyUpload(oneTimeKeyCount: 0, unusedFallbackKeyTypes: [], in: store, at: now) ?? [:]
            return keys.merging(["device_keys": .object(made.signedDeviceKeys)]) { $1 }
        }
        _ = try await client.keys(["upload"], body, as: self.address(of: made))
        try database.transactionInPlace { try made.keysWereUploaded(in: OlmTable($0), at: now) }
        logger.info("The bot has a new device for encrypted rooms", metadata: ["matrix.device_id": "\(id)"])
    }

    /// Marks the memory as newer than all copies of it, first inside and then outside.
    func raiseGeneration() throws {
        guard let marker, let device, !isBehind else { return }
        let outside = try marker.read() ?? 0
        let next = try database.transactionInPlace { connection in
            let store = OlmTable(connection)
            let next = max(try device.generation(in: store), outside) + 1
            try device.setGeneration(next, in: store, at: now)
            return next
        }
        try marker.write(next)
    }

    private func becameReady() {
        guard state != .ready, let device else { return }
        state = .ready
        setUpFailures = 0
        logger.info(
            "Encrypted rooms work: the bot's device is known and cross-signed",
            metadata: ["matrix.device_id": "\(device.address.device)", "fingerprint": "\(device.ed25519)"])
    }

    private func becameUnavailable(_ problem: String) {
        if state != .unavailable(problem: problem) {
            logger.warning("The bot cannot work in encrypted rooms", metadata: ["error.code": "\(problem)"])
        }
        state = .unavailable(problem: problem)
        setUpFailures += 1
        retryMilliseconds = Self.retry.delayMilliseconds(failures: setUpFailures, random: Double.random(in: 0..<1))
        lastSync = clock.monotonic()
    }

    /// Waits until it is known whether encrypted rooms work, ten seconds at most: a homeserver that does not answer
    /// will not take messages either.
    func settled() async {
        for _ in 0..<50 where state == .starting {
            guard (try? await clock.sleep(200)) != nil else { return }
        }
    }

    /// One sentence for `status`.
    package var summary: String {
        switch state {
        case .starting: "encrypted rooms: the bot's device is being set up"
        case .ready: "encrypted rooms: the bot's device is \(device?.address.device.rawValue ?? ""), cross-signed"
        case .unavailable(let problem): "encrypted rooms do not work: \(problem)"
        }
    }
}
