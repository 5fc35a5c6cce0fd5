// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU

/// Commands about calls and who is in them.
struct CallCommands: Sendable {
    let coordinator: CallCoordinator
    let focus: any FocusControlling
    let issued: IssuedIdentities
    let enforcement: CallEnforcement
    let attempts: AttemptLog
    let legs: LegKeeper
    let legacyCalls: LegacyCallKeeper
    let clock: ServiceClock

    var all: [BotCommand] {
        [
            BotCommand("calls", summary: "list the calls that run") { _ in await calls() },
            BotCommand(
                "call", arguments: "[room]", summary: "say who is in the call of a room", permission: .level(.kick),
                roomArgument: 0
            ) { await describe($0.room) },
            BotCommand(
                "why", arguments: "<user>", summary: "list what a user tried lately, and why it was refused",
                minimumArguments: 1
            ) { why($0) },
            BotCommand(
                "mute", arguments: "<user> [room]", summary: "mute everything a user sends; the user may unmute",
                permission: .level(.kick), minimumArguments: 1, roomArgument: 1
            ) { await mute($0) },
            BotCommand(
                "kick", arguments: "<user> [room]",
                summary: "take a user out of the call; with a new token the user may come back",
                permission: .level(.kick), minimumArguments: 1, roomArgument: 1
            ) { await kick($0) },
            BotCommand(
                "ring", summary: "call you, with an echo: for clients that know one-to-one calls",
                permission: .everybody
            ) { await ring($0) },
            BotCommand(
                "end", arguments: "[room]", summary: "end the call of a room for everybody", permission: .level(.ban),
                roomArgument: 0
            ) { await end($0) },
        ]
    }

    private func calls() async -> BotReply {
        let calls = await coordinator.calls
        let withMe = await legacyCalls.entries
        let count = calls.count + withMe.count
        guard count > 0 else { return .text("No call runs in the rooms that I am in.") }
        let now = clock.unixMilliseconds()
        let echoes = Set(await legs.rooms.map(\.room))
        return .list(
            count == 1 ? "1 call" : "\(count) calls",
            calls.map { call in
                let users = Set(call.members.map(\.membership.sender)).count
                let kind = call.intent.map { ", \($0.rawValue)" } ?? ""
                let echo = echoes.contains(call.id.roomID) ? ", with my echo" : ""
                return "\(call.id.roomID): \(users) users with \(call.members.count) devices, for "
                    + "\(Self.length(now - call.startedAt))\(kind)\(echo)"
            }
                + withMe.map { call in
                    "\(call.key.roomID): \(call.peer) calls me, for \(Self.length(now - call.startedAt)), "
                        + (call.isMediaUp ? "connected" : "connecting")
                })
    }

    private func describe(_ room: RoomID) async -> BotReply {
        let members = await coordinator.calls.filter { $0.id.roomID == room }.flatMap(\.members)
        let holders = issued.holders(in: room)
        let announced = Dictionary(
            members.map { (FocusParticipant($0.membership), $0) }, uniquingKeysWith: { first, _ in first })
        let tokens = Dictionary(
            holders.flatMap { holder in holder.issues.map { ($0.participant, (holder.user, $0)) } },
            uniquingKeysWith: { first, _ in first })
        let participants = Set(announced.keys).union(tokens.keys)
        var presence: [String: [String: ParticipantPresence]] = [:]
        for name in Set(participants.map(\.room)) { presence[name] = await focus.presence(inRoom: name) }
        var lines: [String] = []
        let now = clock.unixMilliseconds()
        for participant in participants.sorted(by: { $0.identity < $1.identity }) {
            let here = presence[participant.room]?[participant.identity]
            let member = announced[participant]
            guard here != nil || member != nil else { continue }
            let user = member?.membership.sender ?? tokens[participant]?.0
            var parts = [user?.rawValue ?? participant.identity]
            if let device = member?.membership.deviceID { parts.append("device \(device)") }
            if let member { parts.append("since \(Self.length(now - member.joinedAt))") }
            if let intent = member?.membership.intent { parts.append(intent.rawValue) }
            switch (here, member) {
            case (.some(let here), _) where !here.wasActive: parts.append("connecting")
            case (.some, nil): parts.append("here, and not announced in the room")
            case (.some, .some): parts.append("here")
            case (nil, _): parts.append("announced, and not on this focus")
            }
            if tokens[participant]?.1.rights?.canPublish == false { parts.append("listens only") }
            lines.append(parts.joined(separator: ", "))
        }
        let rings = await coordinator.rings(in: room).map { ring in
            let declined = ring.declinedBy.isEmpty ? "" : ", \(ring.declinedBy.count) declined"
            return "\(ring.notification.sender) rang \(Self.length(now - ring.notification.sentAt)) ago: "
                + "\(ring.outcome.rawValue)\(declined)"
        }
        guard !lines.isEmpty else {
            let nobody = "Nobody is in a call of \(room)."
            return rings.isEmpty ? .text(nobody) : .list(nobody, rings)
        }
        return .list("In the call of \(room)", lines + rings)
    }

    private func why(_ call: BotCommandCall) -> BotReply {
        guard let user = UserID(call.arguments[0]) else { return Self.noUser(call.arguments[0]) }
        let attempts = attempts.attempts(of: user)
        guard !attempts.isEmpty else {
            return .text(
                "\(user) tried nothing since I was started. A client that finds no focus does not even ask me: see "
                    + "`callbridge doctor homeserver`.")
        }
        let now = clock.unixMilliseconds()
        return .list(
            "What \(user) tried lately",
            attempts.map { "\(Self.length(now - $0.time)) ago, \($0.room): \($0.text)" })
    }

    private func mute(_ call: BotCommandCall) async -> BotReply {
        guard let user = UserID(call.arguments[0]) else { return Self.noUser(call.arguments[0]) }
        var (devices, tracks) = (0, 0)
        for participant in await participants(of: user, in: call.room) {
            guard let count = await focus.muteAll(of: participant) else { continue }
            devices += 1
            tracks += count
        }
        guard devices > 0 else { return .text("\(user) is not in a call of \(call.room) on this focus.") }
        return .text("\(user) is muted: \(tracks) tracks of \(devices) devices. The user may unmute again.")
    }

    private func kick(_ call: BotCommandCall) async -> BotReply {
        guard let user = UserID(call.arguments[0]) else { return Self.noUser(call.arguments[0]) }
        let found = await participants(of: user, in: call.room)
        guard !found.isEmpty else { return .text("\(user) is not in a call of \(call.room) on this focus.") }
        _ = issued.remove(user: user, from: call.room)
        await enforcement.remove(found, because: .kickedByCommand)
        attempts.note(
            user, in: call.room, "taken out of the call by \(call.sender)", at: clock.unixMilliseconds())
        return .text(
            "\(user) was taken out of the call, and tokens until now are void. To keep the user out, remove the user "
                + "from the room.")
    }

    private func ring(_ call: BotCommandCall) async -> BotReply {
        switch await legacyCalls.ring(call.sender, in: call.room) {
        case nil: .text("Your client should ring now. Take the call, and you hear and see yourself.")
        case .publicRoom, .crowdedRoom, .unknownRoom:
            .text("I call you only where nobody else is: please write `ring` in a room with me alone.")
        case .tooManyCalls: .text("I am in as many calls as I may be in: please try again later.")
        case .tooManyCallsOfUser: .text("You are in a call with me, or too many of your server are.")
        case .rateLimited: .text("You had many calls with me: please try again in a minute.")
        case .notAllowed: .text("The rules of this server do not let you make calls in this room.")
        case let refusal?: .text("I cannot call you: \(refusal.rawValue).")
        }
    }

    private func end(_ call: BotCommandCall) async -> BotReply {
        let members = await coordinator.calls.filter { $0.id.roomID == call.room }.flatMap(\.members)
        let announced = Set(members.map { FocusParticipant($0.membership) })
        let withMe = await legacyCalls.hangUp(in: call.room)
        guard !announced.isEmpty || !issued.holders(in: call.room).isEmpty else {
            return .text(withMe > 0 ? "I hung up in \(call.room)." : "No call runs in \(call.room).")
        }
        await call.progress("Ending the call of \(call.room)…")
        await enforcement.endCalls(of: call.room, announced: announced, because: .endedByCommand)
        return .text("The call of \(call.room) is over. Whoever is joined to the room may begin another.")
    }

    private func participants(of user: UserID, in room: RoomID) async -> Set<FocusParticipant> {
        let issues = issued.holders(in: room).filter { $0.user == user }.flatMap(\.issues)
        let members = await coordinator.calls.filter { $0.id.roomID == room }.flatMap(\.members)
        return Set(issues.map(\.participant)).union(
            members.filter { $0.membership.sender == user }.map { FocusParticipant($0.membership) })
    }

    private static func noUser(_ text: String) -> BotReply {
        .text("`\(text.prefix(60))` is no user id; it looks like @name:example.org.")
    }

    static func length(_ milliseconds: Int64) -> String {
        let seconds = max(0, milliseconds) / 1_000
        if seconds < 60 { return "\(seconds) s" }
        let minutes = seconds / 60
        return minutes < 60 ? "\(minutes) min" : "\(minutes / 60) h \(minutes % 60) min"
    }
}
