// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Why a to-device message, a room key, an encrypted event or somebody's key is not used. Each case is a counter's
/// label.
package enum OlmRefusal: String, Error, CaseIterable, Sendable {
    // To-device messages.

    /// A member is missing, of another kind or too large.
    case malformed
    /// In the clear, where only encrypted messages count.
    case notEncrypted
    case unknownAlgorithm
    /// Encrypted for other keys than ours.
    case notForUs
    /// The same ciphertext was decrypted before.
    case repetition
    /// The homeserver knows no device of the sender with the key.
    case unknownDevice
    /// Too many messages wait for the sender's devices.
    case tooManyWaiting
    /// The sender's devices could not be asked for within an hour.
    case waitedTooLong
    /// No session decrypts it; a new one may be made.
    case undecryptable
    /// Decrypted to something else than a message.
    case malformedPlaintext
    /// The sender inside is not the one outside.
    case wrongSender
    /// Made for somebody else, who passed it on.
    case wrongRecipient
    /// The fingerprint inside is not that of the device.
    case wrongFingerprint
    /// Encrypted twice.
    case nestedEncryption
    /// Its owner has not cross-signed the sending device (MSC4153).
    case notCrossSigned
    /// No part of the service takes messages of the type.
    case unclaimedType
    /// Our own stored keys are damaged: messages of a transaction were not read.
    case deviceFault
    /// The part of the service that takes messages of the type did not keep up.
    case tooManyForTaker
    /// More messages than a transaction or a sync may have.
    case tooManyMessages
    /// A key that another device passes on.
    case forwardedRoomKey
    /// Somebody wants room keys from us.
    case roomKeyRequest
    /// Somebody says that we get no room key.
    case roomKeyWithheld

    // Room keys and encrypted events.

    case malformedRoomKey
    /// The key belongs to another session than it says.
    case roomKeyMismatch
    /// Another device of the user gave us the session before.
    case roomKeyOfOtherDevice
    case eventUndecryptable
    /// The event was encrypted for another room.
    case wrongRoom
    /// Another event used the same index of the session.
    case replay
    /// The room key did not come in time.
    case roomKeyMissing
    /// Too many events wait for room keys.
    case tooManyHeld

    // Keys of others.

    /// A user or device whose id goes beyond ASCII: as names of members such ids could stand for each other.
    case identifierNotASCII
    /// The keys of a device are not signed by it, or not its own.
    case invalidDeviceKeys
    /// A device has other keys than before.
    case deviceKeysChanged
    case tooManyDevices
    /// A claimed one-time key is not signed by its device.
    case invalidOneTimeKey
    /// The device has no key left, or its server does not answer.
    case noOneTimeKey
}
