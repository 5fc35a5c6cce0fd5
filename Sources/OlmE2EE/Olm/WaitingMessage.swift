// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents

/// An Olm message that waits until the devices of its sender are known: only what decryption needs, so that what else
/// an event holds takes no room.
struct WaitingMessage {
    var sender: UserID
    var digest: String
    var senderKey: String
    var message: OlmMessage
    /// A later one of the same millisecond has a higher number.
    var number: Int

    private static let highestNumber = 999_999_999

    init(sender: UserID, digest: String, senderKey: String, message: OlmMessage, number: Int) {
        self.sender = sender
        self.digest = digest
        self.senderKey = senderKey
        self.message = message
        self.number = number % Self.highestNumber
    }

    /// Who sent a message that waits; unlike the message this needs no reading of what was sent.
    static func sender(of record: OlmRecord) -> UserID? {
        let parts = record.key.split(separator: "\n")
        return parts.count == 3 ? UserID(String(parts[1])) : nil
    }

    init?(_ record: OlmRecord) {
        let parts = record.key.split(separator: "\n")
        guard parts.count == 3, let sender = UserID(String(parts[1])), let json = record.json,
            let senderKey = json["sender_key"]?.string, let body = json["body"]?.string,
            let kind = json["type"]?.integer.flatMap({ OlmMessage.Kind(rawValue: Int(clamping: $0)) }),
            let left = Int(parts[0])
        else { return nil }
        self.init(
            sender: sender, digest: String(parts[2]), senderKey: senderKey,
            message: OlmMessage(kind: kind, body: Array(body.utf8)), number: Self.highestNumber - left)
    }

    /// Belongs to the sender's server. Stores give the last touched first, and those of one moment by key: the key
    /// counts down.
    func record(at now: UnixMilliseconds) -> OlmRecord {
        let left = String(Self.highestNumber - number)
        let padded = String(repeating: "0", count: 9 - left.utf8.count) + left
        return OlmRecord(
            .waiting, owner: sender.serverName.rawValue, key: "\(padded)\n\(sender.rawValue)\n\(digest)",
            json: [
                "sender_key": .string(senderKey), "type": .integer(Int64(message.kind.rawValue)),
                "body": .string(OlmBuffer.text(message.body)),
            ], touched: now)
    }
}
