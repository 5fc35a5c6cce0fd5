// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The names LiveKit knows Matrix rooms and members by.
///
/// Most are hashes: SHA-256 over compact JSON, then base64 without padding (MSC4195). This target has no hash
/// function; it gives the exact bytes to hash, and ``name(digest:)`` makes the name of the digest. Names may hold `+`
/// and `/` and must be escaped in URLs.
package enum LiveKitNames {
    /// The LiveKit identity of a member.
    package enum Identity: Equatable, Sendable {
        /// Used as it is.
        case plain(String)
        /// ``LiveKitNames/name(digest:)`` of the SHA-256 of these bytes.
        case hashed(input: [UInt8])
    }

    /// Hash input for the room of a slot. Clients that know no slots use `m.call#ROOM`.
    package static func roomNameInput(roomID: RoomID, slotID: String) -> [UInt8] {
        compactArray([roomID.rawValue, slotID])
    }

    /// Hash input for the room of a slot with a secret of ours, so that the name cannot be guessed.
    package static func roomNameInput(roomID: RoomID, slotID: String, salt: String) -> [UInt8] {
        compactArray([roomID.rawValue, slotID, salt])
    }

    /// Hash input for the identity of a ``RTCMembership/Generation/stickyDraft`` member.
    package static func identityInput(user: UserID, device: String, memberID: String) -> [UInt8] {
        compactArray([user.rawValue, device, memberID])
    }

    /// Hash input for the identity of a ``RTCMembership/Generation/sticky`` member.
    package static func identityInput(sender: UserID, memberID: String) -> [UInt8] {
        compactArray([sender.rawValue, memberID])
    }

    /// The identity of a ``RTCMembership/Generation/sessionState`` member, which is not hashed.
    package static func plainIdentity(user: UserID, device: DeviceID) -> String {
        "\(user.rawValue):\(device.rawValue)"
    }

    /// The name made of a digest.
    package static func name(digest: [UInt8]) -> String {
        UnpaddedBase64.encode(digest)
    }

    private static func compactArray(_ texts: [String]) -> [UInt8] {
        JSONValue.array(texts.map { .string($0) }).compactJSON
    }
}
