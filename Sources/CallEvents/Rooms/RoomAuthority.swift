// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Who may do what in a room: its creation and its power levels together.
package struct RoomAuthority: Equatable, Sendable {
    /// Something whose level a room can set.
    package enum Action: Hashable, Sendable {
        case sendState(String)
        case sendMessage(String)
        case kick
        case ban
        case redact
    }

    package var creation: RoomCreation?
    /// Nil in a room without the event.
    package var powerLevels: RoomPowerLevels?

    package init(creation: RoomCreation? = nil, powerLevels: RoomPowerLevels? = nil) {
        self.creation = creation
        self.powerLevels = powerLevels
    }

    package func level(of user: UserID) -> PowerLevel {
        let isCreator = creation?.creators.contains(user) ?? false
        if isCreator, creation?.privilegesCreators == true { return .creator }
        guard let powerLevels else { return .value(isCreator ? 100 : 0) }
        return .value(powerLevels.users[user] ?? powerLevels.usersDefault)
    }

    package func levelNeeded(for action: Action) -> PowerLevel {
        let levels = powerLevels ?? RoomPowerLevels([:])
        return switch action {
        case .sendState(let type): .value(levels.events[type] ?? levels.stateDefault)
        case .sendMessage(let type): .value(levels.events[type] ?? levels.eventsDefault)
        case .kick: .value(levels.kick)
        case .ban: .value(levels.ban)
        case .redact: .value(levels.redact)
        }
    }

    package func mayDo(_ action: Action, _ user: UserID) -> Bool {
        level(of: user) >= levelNeeded(for: action)
    }
}
