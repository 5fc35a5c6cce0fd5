// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// The commands there are, and what a text asks of them. Pure.
package struct BotCommandTable: Sendable {
    /// What to do about a message.
    package enum Reading: Sendable {
        /// Not meant for the bot.
        case nothing
        case command(BotCommand, arguments: [String], room: RoomName?)
        /// Meant for the bot and not understood.
        case problem(BotReply)
    }

    /// How a command names a room.
    package enum RoomName: Equatable, Sendable, CustomStringConvertible {
        case id(RoomID)
        case alias(RoomAlias)

        package init?(_ text: String) {
            if let room = RoomID(text) {
                self = .id(room)
            } else if let alias = RoomAlias(text) {
                self = .alias(alias)
            } else {
                return nil
            }
        }

        package var description: String {
            switch self {
            case .id(let room): room.rawValue
            case .alias(let alias): alias.rawValue
            }
        }
    }

    /// Before a command in rooms where others talk, too.
    package static let prefix = "!call"

    package private(set) var commands: [BotCommand]

    package init(_ commands: [BotCommand] = []) {
        self.commands = []
        add(commands)
    }

    /// A command takes the place of another with the same name.
    package mutating func add(_ more: [BotCommand]) {
        for command in more {
            commands.removeAll { $0.name == command.name }
            commands.append(command)
        }
        commands.sort { $0.name < $1.name }
    }

    /// Whether a text can be a command at all; cheap, for every message that is seen.
    package static func mayBeCommand(_ body: String, isPrivate: Bool) -> Bool {
        isPrivate || body == prefix || body.hasPrefix(prefix + " ")
    }

    /// - Parameter isPrivate: The bot is alone with somebody, so that no prefix is needed.
    package func read(_ body: String, isPrivate: Bool) -> Reading {
        guard Self.mayBeCommand(body, isPrivate: isPrivate) else { return .nothing }
        var words = body.split(whereSeparator: \.isWhitespace).map(String.init)
        if words.first == Self.prefix { words.removeFirst() }
        if words.isEmpty { words = ["help"] }
        let names = commands.map { ($0, $0.name.split(separator: " ").map(String.init)) }
        let found = names.filter { words.count >= $0.1.count && zip(words, $0.1).allSatisfy { $0.lowercased() == $1 } }
        guard let (command, name) = found.max(by: { $0.1.count < $1.1.count }) else {
            let typed = String((words.first ?? "").prefix(40))
            let near = NearestName.of(typed.lowercased(), in: commands.map(\.name)).map { "; did you mean `\($0)`?" }
            return .problem(.text("There is no command `\(typed)`\(near ?? ""). `help` lists all."))
        }
        var arguments = Array(words.dropFirst(name.count))
        guard arguments.count >= command.minimumArguments else {
            return .problem(.text("`\(command.name)` needs more: `\(command.name) \(command.arguments)`"))
        }
        guard let position = command.roomArgument, arguments.indices.contains(position) else {
            return .command(command, arguments: arguments, room: nil)
        }
        guard let room = RoomName(arguments[position]) else {
            return .problem(
                .text(
                    "`\(arguments[position].prefix(60))` is no room; write its id, which begins with an \"!\", or an "
                        + "alias such as #name:example.org."))
        }
        arguments.remove(at: position)
        return .command(command, arguments: arguments, room: room)
    }

    /// Whether somebody may give a command.
    ///
    /// - Parameter authority: That of the room the command is about; nil when it cannot be seen.
    /// - Returns: what is missing, for people; nil when nothing is.
    package static func refusal(
        of command: BotCommand, by user: UserID, isAdministrator: Bool, authority: RoomAuthority?,
    ) -> BotReply? {
        switch command.permission {
        case _ where isAdministrator, .everybody: return nil
        case .administrator:
            return .text("`\(command.name)` needs an administrator of calls, one that `matrix.admins` names.")
        case .level(let action):
            guard let authority else {
                return .text(
                    "`\(command.name)` needs a power level in that room, which I do not see; invite me there, or ask "
                        + "an administrator of calls.")
            }
            let needed = authority.levelNeeded(for: action)
            let level = authority.level(of: user)
            guard level < needed else { return nil }
            return .text("`\(command.name)` needs power level \(needed) in that room; you have \(level).")
        }
    }
}
