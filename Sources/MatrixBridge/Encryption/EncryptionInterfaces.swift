// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
package import OlmE2EE

/// Why a to-device message did not go out to a device.
package enum ToDeviceFailure: Error, Equatable, Sendable {
    /// The bot has no encrypted device; the status says why.
    case noDevice
    /// The homeserver knows no keys of the device.
    case unknownDevice
    /// The device's owner has not cross-signed it.
    case notCrossSigned
    /// There is no session with it, and none could be made.
    case noSession(OlmRefusal)
    /// The homeserver did not take the message.
    case refused(String)
}

/// Olm-encrypted messages from device to device, as the bot.
package protocol ToDeviceMessaging: Sendable {
    /// Sends to each device a content of its own; devices that nobody has cross-signed get none.
    ///
    /// - Returns: the devices that got nothing, and why.
    func send(_ type: String, _ contents: [DeviceAddress: JSONObject]) async -> [DeviceAddress: ToDeviceFailure]

    /// What comes from cross-signed devices with one of these types, from now on; each type has one taker, the last.
    /// Up to 256 messages wait for their taker, then the oldest go.
    func messages(ofTypes types: Set<String>) async -> AsyncStream<ToDeviceMessage>
}

/// Why an event of an encrypted room could not be encrypted.
package enum RoomEncryptionFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// The homeserver gives us no device.
    case noDevice(String)
    /// The device is not ready yet, or was replaced just now.
    case notReady
    /// No device of a member got the room's key.
    case nobodyReached
    /// The members of the room are not known, or too many.
    case unknownMembers
    case homeserver(MatrixClientError)
    case store(String)

    package var description: String {
        switch self {
        case .noDevice(let problem): "the bot has no encrypted device: \(problem)"
        case .notReady: "the bot's encrypted device is not ready yet"
        case .nobodyReached: "no device of a member could be given the room's key"
        case .unknownMembers: "the room's members are not known, or too many"
        case .homeserver(let error): error.description
        case .store(let error): "the database: \(error)"
        }
    }
}

/// Encryption of the events that we send to rooms.
package protocol RoomEventEncrypting: Sendable {
    /// Whether events for the room must be encrypted: once a room was encrypted, it is for ever. True also when that
    /// cannot be found out within ten seconds.
    func isEncrypted(_ room: RoomID) async -> Bool

    /// The content of the `m.room.encrypted` event to send instead; its key is with the devices of the members then.
    func encrypted(
        _ type: String, _ content: JSONObject, in room: RoomID,
    ) async throws(RoomEncryptionFailure) -> JSONObject
}
