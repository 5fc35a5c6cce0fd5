// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// One command of the bot. Any part of the service may add its own to ``BotCommandTable``.
package struct BotCommand: Sendable {
    /// Who may give the command.
    package enum Permission: Equatable, Sendable {
        case everybody
        /// Those with the level for this in the room that the command is about, and administrators.
        case level(RoomAuthority.Action)
        /// Those named in `matrix.admins`.
        case administrator
    }

    /// Words in lower case, such as `turn status`.
    package var name: String
    /// What may follow, for help: `<user> [room]`.
    package var arguments: String
    package var summary: String
    package var permission: Permission
    /// The words after the name that are needed at least.
    package var minimumArguments: Int
    /// Which argument names the room that the command is about; without it, it is the room it was given in.
    package var roomArgument: Int?
    package var run: @Sendable (BotCommandCall) async -> BotReply

    package init(
        _ name: String, arguments: String = "", summary: String, permission: Permission = .administrator,
        minimumArguments: Int = 0, roomArgument: Int? = nil,
        run: @escaping @Sendable (BotCommandCall) async -> BotReply,
    ) {
        self.name = name
        self.arguments = arguments
        self.summary = summary
        self.permission = permission
        self.minimumArguments = minimumArguments
        self.roomArgument = roomArgument
        self.run = run
    }
}

/// A command that was given by somebody who may.
package struct BotCommandCall: Sendable {
    package var sender: UserID
    /// The room that the command is about.
    package var room: RoomID
    package var arguments: [String]
    /// When the command was written, by the sender's server.
    package var sentAt: UnixMilliseconds
    /// Shows how far a long work is; the reply takes the place of what is shown.
    package var progress: @Sendable (String) async -> Void

    package init(
        sender: UserID, room: RoomID, arguments: [String] = [], sentAt: UnixMilliseconds = 0,
        progress: @escaping @Sendable (String) async -> Void = { _ in },
    ) {
        self.sender = sender
        self.room = room
        self.arguments = arguments
        self.sentAt = sentAt
        self.progress = progress
    }
}
