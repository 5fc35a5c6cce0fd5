// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
import NIOConcurrencyHelpers

/// What is known about a Matrix room as far as it decides who may do what in its call.
package struct RoomFacts: Equatable, Sendable {
    package var authority = RoomAuthority()
    package var tombstone: RoomTombstone?
    package var isEncrypted = false
    /// Anybody may come in.
    package var isPublic = false
    package var joined: Set<UserID> = []

    package init() {}

    /// Takes what one current event says; others change nothing.
    mutating func take(_ event: CallEvent) {
        switch event {
        case .creation(let creation): authority.creation = creation
        case .powerLevels(let levels): authority.powerLevels = levels
        case .tombstone(let found): tombstone = found
        case .encryption: isEncrypted = true
        case .joinRule(let isPublic): self.isPublic = isPublic
        case .roomMember(let member):
            switch member.membership {
            case .join: joined.insert(member.user)
            case .leave, .ban, .invite, .knock: joined.remove(member.user)
            }
        case .membership, .slot, .notification, .decline, .legacy, .message, .redaction, .other, .refused: return
        }
    }
}

/// The facts of the rooms our bot sees: complete from the moment its state was read, kept by the events that follow.
///
/// Read by every token request, on any thread. Bounded: rooms with very many members in all are not kept, and then the
/// homeserver is asked as for a room without the bot.
package final class RoomFactsBook: Sendable {
    private struct Page {
        var facts: RoomFacts
        var version: UInt64
    }

    private struct Book {
        var pages: [RoomID: Page] = [:]
        var memberCount = 0
        var lastVersion: UInt64 = 0
    }

    /// Members of all rooms together.
    package static let maximumMemberCount = 500_000

    private let book = NIOLockedValueBox(Book())
    private let maximumMemberCount: Int

    package init(maximumMemberCount: Int = RoomFactsBook.maximumMemberCount) {
        self.maximumMemberCount = maximumMemberCount
    }

    /// Nil for a room that we do not see.
    package func facts(of room: RoomID) -> RoomFacts? {
        book.withLockedValue { $0.pages[room]?.facts }
    }

    /// Whether the user is known to be joined. False says nothing: the event may be on its way.
    package func isJoined(_ user: UserID, to room: RoomID) -> Bool {
        book.withLockedValue { $0.pages[room]?.facts.joined.contains(user) ?? false }
    }

    /// Another number after each change of the room's facts; 0 for a room that we do not see.
    package func version(of room: RoomID) -> UInt64 {
        book.withLockedValue { $0.pages[room]?.version ?? 0 }
    }

    /// How many rooms are known.
    package var roomCount: Int { book.withLockedValue { $0.pages.count } }

    func set(_ facts: RoomFacts, of room: RoomID) {
        book.withLockedValue { book in
            Self.remove(room, from: &book)
            guard book.memberCount + facts.joined.count <= maximumMemberCount else { return }
            book.memberCount += facts.joined.count
            book.lastVersion += 1
            book.pages[room] = Page(facts: facts, version: book.lastVersion)
        }
    }

    func take(_ event: CallEvent, in room: RoomID) {
        book.withLockedValue { book in
            guard book.pages[room] != nil else { return }
            let before = book.pages[room]?.facts.joined.count ?? 0
            book.pages[room]?.facts.take(event)
            book.lastVersion += 1
            book.pages[room]?.version = book.lastVersion
            book.memberCount += (book.pages[room]?.facts.joined.count ?? 0) - before
            if book.memberCount > maximumMemberCount { Self.remove(room, from: &book) }
        }
    }

    func forget(_ room: RoomID) {
        book.withLockedValue { Self.remove(room, from: &$0) }
    }

    private static func remove(_ room: RoomID, from book: inout Book) {
        book.memberCount -= book.pages.removeValue(forKey: room)?.facts.joined.count ?? 0
    }
}
