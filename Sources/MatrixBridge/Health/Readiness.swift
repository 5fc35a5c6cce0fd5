// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// What a readiness probe and an operator want to know. Liveness is the ability to answer at all.
package struct Readiness: Equatable, Sendable {
    package var homeserver: HomeserverLink.State
    /// Stored transactions that wait for processing; nil when the database cannot be read.
    package var backlog: Int64?

    /// More waiting transactions mean that processing has stopped.
    package static let maximumBacklog: Int64 = 100

    package init(homeserver: HomeserverLink.State, backlog: Int64?) {
        self.homeserver = homeserver
        self.backlog = backlog
    }

    package static func current(link: HomeserverLink, inbox: TransactionInbox) async -> Readiness {
        Readiness(homeserver: await link.state, backlog: try? await inbox.backlog())
    }

    package var isReady: Bool { problems.isEmpty }

    /// Sentences for people; empty when ready.
    package var problems: [String] {
        var problems: [String] = []
        switch homeserver {
        case .ready: break
        case .connecting: problems.append("the homeserver was not reached yet")
        case .unreachable(_, let problem): problems.append(problem)
        }
        switch backlog {
        case nil: problems.append("the database cannot be read")
        case .some(let count) where count > Self.maximumBacklog:
            problems.append("\(count) transactions of the homeserver wait for processing")
        case .some: break
        }
        return problems
    }

    package var body: JSONValue {
        .object(["ready": .bool(isReady), "problems": .array(problems.map(JSONValue.string))])
    }
}
