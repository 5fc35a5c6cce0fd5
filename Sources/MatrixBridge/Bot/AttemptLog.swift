// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
import NIOConcurrencyHelpers

/// What users tried lately and what became of it, to answer "why can't I call?". In memory, bounded: the last few of
/// the last users.
package final class AttemptLog: Sendable {
    package struct Attempt: Equatable, Sendable {
        package var time: UnixMilliseconds
        package var room: RoomID
        /// A sentence for people.
        package var text: String
    }

    private struct Book {
        var attempts: [UserID: [Attempt]] = [:]
        /// Oldest last use first.
        var order: [UserID] = []
    }

    package static let maximumUsers = 1_024
    package static let maximumAttempts = 10

    private let book = NIOLockedValueBox(Book())

    package init() {}

    package func note(_ user: UserID, in room: RoomID, _ text: String, at time: UnixMilliseconds) {
        book.withLockedValue { book in
            if book.attempts[user] == nil {
                if book.order.count >= Self.maximumUsers { book.attempts[book.order.removeFirst()] = nil }
                book.order.append(user)
            }
            var attempts = book.attempts[user] ?? []
            attempts.append(Attempt(time: time, room: room, text: text))
            book.attempts[user] = Array(attempts.suffix(Self.maximumAttempts))
        }
    }

    /// Oldest first.
    package func attempts(of user: UserID) -> [Attempt] {
        book.withLockedValue { $0.attempts[user] ?? [] }
    }
}
