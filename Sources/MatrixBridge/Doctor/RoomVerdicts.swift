// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents

/// What the state of a room means for its calls. Pure.
enum RoomVerdicts {
    /// A room id of version 12 or later is `!` and 43 characters of base64url, the hash of the room's creation; there
    /// is no server in it.
    static func identifier(_ text: String) -> DoctorFinding? {
        let parts = text.split(separator: ":", maxSplits: 1)
        guard text.hasPrefix("!"), parts.count == 2, parts[0].utf8.count == 44,
            parts[0].dropFirst().allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") })
        else { return nil }
        return .fail(
            "\(text) looks like a room of version 12 to which somebody added a server name; such ids have none",
            "write \(parts[0])")
    }

    static func closed(_ tombstone: RoomTombstone?) -> DoctorFinding? {
        guard let tombstone else { return nil }
        return .fail(
            "the room was closed, so nobody gets a token for its calls",
            tombstone.replacement.map { "call in \($0), which takes its place" } ?? "call in another room")
    }

    /// Whether ordinary members may announce themselves in a call.
    static func level(_ facts: RoomFacts) -> DoctorFinding {
        let type = SessionStateMembership.eventType
        let needed = facts.authority.levelNeeded(for: .sendState(type))
        let ordinary = PowerLevel.value(facts.authority.powerLevels?.usersDefault ?? 0)
        guard ordinary < needed else { return .ok("every member may take part in calls (level \(ordinary))") }
        return .fail(
            "members have power level \(ordinary), and to announce oneself in a call needs \(needed): "
                + "they cannot join calls",
            "set the level of \(type) to \(ordinary) in the room's permissions (Element: \"Start or join calls\"), or "
                + "raise the members")
    }

    static func bot(_ bot: UserID, isJoined: Bool) -> DoctorFinding {
        isJoined
            ? .ok("the bot \(bot) is in the room, so its events reach us")
            : .warn(
                "the bot \(bot) is not in the room: removals and levels do not reach running calls", "invite \(bot)")
    }

    /// Memberships whose device is gone.
    ///
    /// - Parameter devices: The devices of the users that could be asked.
    static func devices(_ members: [RosterMember], devices: [UserID: Set<DeviceID>]) -> [DoctorFinding] {
        members.compactMap { member in
            guard let device = member.membership.deviceID, let known = devices[member.membership.sender],
                !known.contains(device)
            else { return nil }
            return .fail(
                "\(member.membership.sender) is in the call with device \(device), which does not exist any more: "
                    + "others wait for its media and send it keys in vain",
                "clear the state event \(SessionStateMembership.eventType) of that device, by redacting "
                    + "\(member.membership.eventID), or wait until it expires")
        }
    }
}
