// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import Logging

/// Commands about the service as a whole.
struct ServiceCommands: Sendable {
    let client: MatrixClient
    let appServiceID: String
    let clock: ServiceClock
    let policy: AccessPolicy
    let logLevels: LogLevels
    /// Sentences about the state of the service; the first says whether all is well.
    let status: @Sendable () async -> [String]

    var all: [BotCommand] {
        [
            BotCommand("ping", summary: "say how long a message and the homeserver take", permission: .everybody) {
                await ping($0)
            },
            BotCommand("version", summary: "say which version runs", permission: .everybody) { _ in
                .text(CallbridgeVersion.text)
            },
            BotCommand("status", summary: "say whether all is well, and what runs") { _ in
                let lines = await status()
                return .list(lines.first ?? "", Array(lines.dropFirst()))
            },
            BotCommand("limits", summary: "list who may do what, and how much of it") { _ in limits() },
            BotCommand(
                "log", arguments: "<component> <level>",
                summary: "log a component from another severity on, until the next start"
            ) { log($0) },
        ]
    }

    /// `help` must know all commands, so it is made of them.
    static func help(_ table: BotCommandTable) -> BotCommand {
        var help = BotCommand("help", summary: "list the commands", permission: .everybody) { _ in .text("") }
        let commands = (table.commands.filter { $0.name != help.name } + [help]).sorted { $0.name < $1.name }
        help.run = { _ in
            let items = commands.map { command in
                let needs =
                    switch command.permission {
                    case .everybody: ""
                    case .level: " (with the power level in that room)"
                    case .administrator: " (administrators)"
                    }
                let arguments = command.arguments.isEmpty ? "" : " " + command.arguments
                return "\(command.name)\(arguments): \(command.summary)\(needs)"
            }
            return .list(
                "Commands; in rooms with others write `\(BotCommandTable.prefix)` before them.", items)
        }
        return help
    }

    private func ping(_ call: BotCommandCall) async -> BotReply {
        let age = clock.unixMilliseconds() - call.sentAt
        await call.progress("Your message took \(age) ms to me; asking the homeserver to ping me…")
        do throws(MatrixClientError) {
            let duration = try await client.ping(appServiceID: appServiceID, transactionID: "bot-ping")
            return .text("Pong. Your message took \(age) ms to me, a ping of the homeserver \(duration) ms.")
        } catch {
            return .text("Your message took \(age) ms to me, but the homeserver could not ping me: \(error)")
        }
    }

    private func limits() -> BotReply {
        let access =
            switch policy.fullAccess {
            case .everyone: "users of every homeserver make calls"
            case .servers(let servers):
                "users of \(servers.sorted().map(\.rawValue).joined(separator: ", ")) make calls; others join them"
            }
        let thresholds = policy.thresholds
        let limits = policy.limits
        let amounts = [
            (AccessLimits.Subject.callsOfDevice, limits.callsPerDevice), (.callsOfUser, limits.callsPerUser),
            (.participantsOfUser, limits.participantsPerUser), (.callsOfHomeserver, limits.callsPerHomeserver),
            (.participantsOfHomeserver, limits.participantsPerHomeserver),
            (.participantsOfRoom, limits.participantsPerRoom),
        ].map { $1 > 0 ? $0.sentence($1) : "no limit of \($0.rawValue)" }
        let rates = [
            ("user", limits.tokensPerUser), ("device", limits.tokensPerDevice), ("room", limits.tokensPerRoom),
            ("other homeserver", limits.tokensPerHomeserver),
        ].map { "\($0): \($1 > 0 ? "\($1) a minute" : "no limit")" }
        return .list(
            "Limits",
            [
                access, "membership of the room: \(policy.membershipRequirement.rawValue)",
                "users of other homeservers publish here: \(policy.remotePublishing.rawValue)",
                "power levels: join \(thresholds.join), publish \(thresholds.publish), subscribe "
                    + "\(thresholds.subscribe), data \(thresholds.data), admin \(thresholds.administer) (call: the "
                    + "level that the room asks for announcing oneself in a call)",
                "token requests of each " + rates.joined(separator: ", ") + "; tokens are good for "
                    + "\(JoinTokenMinter.lifetimeSeconds / 60) minutes",
                "identities of one user in one room: \(IssuedIdentities.maximumIdentities)",
            ] + amounts + policy.rules.map(Self.sentence))
    }

    private static func sentence(_ rule: RoomRule) -> String {
        guard rule.allowsCalls else { return "room \(rule.place): no calls" }
        var parts: [String] = []
        if let users = rule.users { parts.append("only " + users.map(\.text).joined(separator: ", ")) }
        let levels = rule.thresholds
        parts.append(
            "join \(levels.join), publish \(levels.publish), subscribe \(levels.subscribe), data \(levels.data), admin "
                + "\(levels.administer)")
        if let maximum = rule.maximumParticipants { parts.append("\(maximum) devices at most") }
        return "room \(rule.place): " + parts.joined(separator: "; ")
    }

    private func log(_ call: BotCommandCall) -> BotReply {
        let names = LogLevels.Component.allCases.map(\.name).joined(separator: ", ")
        guard call.arguments.count == 2 else {
            let now = LogLevels.Component.allCases.map { "\($0.name): \(logLevels.level(of: $0))" }
            return .list("Log levels; `log <component> <level>` changes one", now)
        }
        guard let component = LogLevels.Component(name: call.arguments[0]) else {
            return .text("There is no component `\(call.arguments[0].prefix(40))`; there are \(names).")
        }
        guard let level = Logger.Level(rawValue: call.arguments[1].lowercased()) else {
            let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            return .text("`\(call.arguments[1].prefix(40))` is no level; there are \(levels).")
        }
        logLevels.set(level, of: component)
        return .text("\(component.name) is logged from \(level.rawValue) on, until the next start.")
    }
}
