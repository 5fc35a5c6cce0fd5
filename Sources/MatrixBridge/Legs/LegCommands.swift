// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU

/// `echo` in the admin room.
struct LegCommands: Sendable {
    let keeper: LegKeeper
    let clock: ServiceClock

    /// How long the reply waits for the echo to come or go.
    private static let patienceMilliseconds: UInt64 = 15_000
    private static let stepMilliseconds: UInt64 = 200

    var all: [BotCommand] {
        [
            BotCommand(
                "echo", arguments: "[room] [off]",
                summary: "come into the call of a room and send everybody's sound back, or leave it", roomArgument: 0
            ) { call in
                switch call.arguments.first?.lowercased() {
                case nil: await begin(call)
                case "off": await end(call)
                default: .text("`echo` takes a room, and `off` behind it to end the echo.")
                }
            },
            BotCommand(
                "echo off", arguments: "[room]", summary: "leave the call of a room", roomArgument: 0
            ) { await end($0) },
        ]
    }

    private func begin(_ call: BotCommandCall) async -> BotReply {
        do throws(LegKeeper.Refusal) {
            try await keeper.begin(in: call.room)
        } catch {
            return .text("There will be no echo in \(call.room): \(error.sentence).")
        }
        await call.progress("Joining the call of \(call.room)…")
        return switch await wait(in: call.room, while: .joining) {
        case .here:
            .text(
                "My echo is in the call of \(call.room): whoever speaks hears it coming back. It leaves when nobody "
                    + "else is there for a minute, or with `echo off`.")
        case .joining:
            .text("My echo is still on its way into the call of \(call.room); `status` says when it is there.")
        case .ended(let reason), .stuck(let reason): .text("There is no echo in \(call.room): \(reason).")
        case .leaving, .none: .text("My echo was sent away from \(call.room) before it came.")
        }
    }

    private func end(_ call: BotCommandCall) async -> BotReply {
        guard await keeper.end(in: call.room) else { return .text("My echo is not in a call of \(call.room).") }
        return switch await wait(in: call.room, while: .leaving) {
        case .leaving:
            .text("My echo is out of the call of \(call.room), but the homeserver did not take its leave yet.")
        case .stuck(let reason):
            .text(
                "My echo left the call of \(call.room), but still stands in it: the homeserver did not take its "
                    + "membership back: \(reason). Give me the power level to send call memberships there.")
        default: .text("My echo left the call of \(call.room).")
        }
    }

    private func wait(in room: RoomID, while standing: LegKeeper.Standing) async -> LegKeeper.Standing {
        let deadline = clock.monotonic().advanced(byMilliseconds: Self.patienceMilliseconds)
        var current = await keeper.standing(in: room)
        while current == standing, clock.monotonic() < deadline {
            guard (try? await clock.sleep(Self.stepMilliseconds)) != nil else { break }
            current = await keeper.standing(in: room)
        }
        return current
    }

    /// For `status`.
    func lines() async -> [String] {
        let now = clock.unixMilliseconds()
        var lines: [String] = []
        for (room, startedAt) in await keeper.rooms {
            let what =
                switch await keeper.standing(in: room) {
                case .here(let echoed): "is here, \(echoed) packets sent back"
                case .joining: "is joining"
                case .leaving, .ended, .stuck, .none: "is leaving"
                }
            lines.append("echo in \(room), for \(CallCommands.length(now - startedAt)): \(what)")
        }
        return lines
    }
}
