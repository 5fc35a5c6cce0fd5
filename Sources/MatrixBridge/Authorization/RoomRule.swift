// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// What is different about calls in some rooms. The first rule that fits a room counts, alone.
package struct RoomRule: Equatable, Sendable {
    /// Which rooms.
    package enum Place: Equatable, Sendable, CustomStringConvertible {
        case room(RoomID)
        /// The room that the homeserver's directory gives for the name.
        case alias(RoomAlias)
        /// Room ids, such as `!*:example.org`: rooms made on a server, before room version 12.
        case pattern(NamePattern)

        /// A room id, an alias, or a pattern with `*` that begins with `!` or is `*` alone.
        package init?(_ text: String) {
            if text.contains("*") {
                guard text == "*" || text.first == "!", text.utf8.count <= MatrixText.maximumByteCount
                else { return nil }
                self = .pattern(NamePattern(text))
            } else if let room = RoomID(text) {
                self = .room(room)
            } else if let alias = RoomAlias(text) {
                self = .alias(alias)
            } else {
                return nil
            }
        }

        package var description: String {
            switch self {
            case .room(let room): room.rawValue
            case .alias(let alias): alias.rawValue
            case .pattern(let pattern): pattern.text
            }
        }
    }

    package var place: Place
    /// Whether there may be calls at all.
    package var allowsCalls = true
    /// Who may take part, by user id; nil for everybody whom the rest of the policy lets in.
    package var users: [NamePattern]?
    /// In place of those for all rooms.
    package var thresholds: GrantThresholds
    /// Devices in the call; nil for the limit of all rooms.
    package var maximumParticipants: Int?

    package init(_ place: Place, thresholds: GrantThresholds = GrantThresholds()) {
        self.place = place
        self.thresholds = thresholds
    }

    func fits(_ room: RoomID, aliases: Set<RoomAlias>) -> Bool {
        switch place {
        case .room(let named): named == room
        case .alias(let alias): aliases.contains(alias)
        case .pattern(let pattern): pattern.matches(room.rawValue)
        }
    }

    func admits(_ user: UserID) -> Bool {
        users?.contains { $0.matches(user.rawValue) } ?? true
    }
}

extension AccessPolicy {
    /// The policy as it is for one room.
    ///
    /// - Parameter aliases: The names of rules that mean this room.
    package func inRoom(_ room: RoomID, aliases: Set<RoomAlias> = []) -> AccessPolicy {
        guard let rule = rules.first(where: { $0.fits(room, aliases: aliases) }) else { return self }
        var policy = self
        policy.rules = []
        policy.rule = rule
        policy.thresholds = rule.thresholds
        policy.limits.participantsPerRoom = rule.maximumParticipants ?? limits.participantsPerRoom
        return policy
    }

    /// Refuses by the rule of the room, which needs no knowledge of the room.
    package func admit(_ user: UserID) throws(TokenExchangeRefusal) {
        guard let rule else { return }
        guard rule.allowsCalls else { throw .callsNotAllowed(rule: rule.place.description) }
        guard rule.admits(user) else { throw .userNotAllowed(rule: rule.place.description) }
    }
}
