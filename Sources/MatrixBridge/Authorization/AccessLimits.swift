// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
import FocusSFU

/// How much one user, one device, one room and one other homeserver may have at a time, and ask for in a minute; 0 for
/// no limit. Pure: what is in use goes in, a verdict comes out.
package struct AccessLimits: Equatable, Sendable {
    /// What is bounded at a time. A call is a room of the focus.
    package enum Subject: String, CaseIterable, Sendable {
        case callsOfDevice
        case callsOfUser
        case participantsOfUser
        case callsOfHomeserver
        case participantsOfHomeserver
        case participantsOfRoom
    }

    /// Whose requests are too many.
    package enum RateScope: String, CaseIterable, Sendable {
        case user
        case device
        case room
        case homeserver
        /// The service as a whole, or what it depends on.
        case service
    }

    /// A participant that somebody holds a token for.
    package struct Use: Equatable, Sendable {
        package var participant: FocusParticipant
        package var user: UserID
        /// Nil when the client does not say.
        package var device: DeviceID?
        package var issuedAt: UnixMilliseconds
        /// The focus knows the participant now.
        package var isPresent: Bool

        package init(
            participant: FocusParticipant, user: UserID, device: DeviceID?, issuedAt: UnixMilliseconds, isPresent: Bool,
        ) {
            self.participant = participant
            self.user = user
            self.device = device
            self.issuedAt = issuedAt
            self.isPresent = isPresent
        }
    }

    package var callsPerDevice = 4
    package var callsPerUser = 8
    package var participantsPerUser = 16
    package var callsPerHomeserver = 200
    package var participantsPerHomeserver = 1_000
    /// Of rooms without a rule of their own.
    package var participantsPerRoom = 0
    package var tokensPerUser = 60
    package var tokensPerDevice = 60
    package var tokensPerRoom = 0
    package var tokensPerHomeserver = 3_000

    /// A token that was not used for so long gives way to a newer one: its client did not come, or has left.
    package static let idleMilliseconds: Int64 = 30_000

    package init() {}

    package static let unlimited = {
        var limits = AccessLimits()
        for field in [
            \AccessLimits.callsPerDevice, \.callsPerUser, \.participantsPerUser, \.callsPerHomeserver,
            \.participantsPerHomeserver, \.tokensPerUser, \.tokensPerDevice, \.tokensPerHomeserver,
        ] { limits[keyPath: field] = 0 }
        return limits
    }()

    /// Whether the uses of a whole homeserver matter for a user of it; ours has none.
    func boundsHomeserver(_ server: ServerName, localServer: ServerName) -> Bool {
        server != localServer && (callsPerHomeserver > 0 || participantsPerHomeserver > 0)
    }

    /// Decides on one more token. Tokens count as long as they are good for something, so that nobody can gather them
    /// first and use them together; those that lie idle are made void for the newer one, oldest first.
    ///
    /// - Parameters:
    ///   - wanted: What is asked for; what the same participant had before does not count beside it.
    ///   - uses: Everything in use by the user and, where boundsHomeserver(_:localServer:), by its homeserver.
    /// - Returns: what must be made void for it.
    package func verdict(
        on wanted: Use, among uses: [Use], localServer: ServerName, at now: UnixMilliseconds,
    ) throws(TokenExchangeRefusal) -> [Use] {
        var others = uses.filter { $0.participant != wanted.participant }.sorted { $0.issuedAt < $1.issuedAt }
        var voided: [Use] = []
        for (subject, limit) in bounds where limit > 0 {
            while true {
                let counted = others.filter { Self.counts($0, with: wanted, for: subject, localServer: localServer) }
                guard Self.amount(of: subject, counted, with: wanted) > limit else { break }
                let idle = Self.idle(for: subject, among: counted, wanted: wanted, at: now)
                guard !idle.isEmpty else { throw .limitReached(subject, limit: limit) }
                voided += idle
                others.removeAll { idle.contains($0) }
            }
        }
        return voided
    }

    private var bounds: [(Subject, Int)] {
        [
            (.callsOfDevice, callsPerDevice), (.callsOfUser, callsPerUser), (.participantsOfUser, participantsPerUser),
            (.callsOfHomeserver, callsPerHomeserver), (.participantsOfHomeserver, participantsPerHomeserver),
        ]
    }

    private static func counts(
        _ use: Use, with wanted: Use, for subject: Subject, localServer: ServerName,
    ) -> Bool {
        switch subject {
        case .callsOfDevice: use.user == wanted.user && use.device != nil && use.device == wanted.device
        case .callsOfUser, .participantsOfUser: use.user == wanted.user
        case .callsOfHomeserver, .participantsOfHomeserver:
            wanted.user.serverName != localServer && use.user.serverName == wanted.user.serverName
        case .participantsOfRoom: use.participant.room == wanted.participant.room
        }
    }

    private static func amount(of subject: Subject, _ uses: [Use], with wanted: Use) -> Int {
        switch subject {
        case .callsOfDevice, .callsOfUser, .callsOfHomeserver:
            Set(uses.map(\.participant.room)).union([wanted.participant.room]).count
        case .participantsOfUser, .participantsOfHomeserver, .participantsOfRoom: uses.count + 1
        }
    }

    /// What may go to make room for one more: an idle participant, or the participants of a call in which all are idle.
    private static func idle(
        for subject: Subject, among uses: [Use], wanted: Use, at now: UnixMilliseconds,
    ) -> [Use] {
        func isIdle(_ use: Use) -> Bool { !use.isPresent && now - use.issuedAt > idleMilliseconds }
        switch subject {
        case .participantsOfUser, .participantsOfHomeserver, .participantsOfRoom:
            return uses.first(where: isIdle).map { [$0] } ?? []
        case .callsOfDevice, .callsOfUser, .callsOfHomeserver:
            let calls = Dictionary(grouping: uses, by: \.participant.room)
            let room = uses.map(\.participant.room).first { room in
                room != wanted.participant.room && calls[room]?.allSatisfy(isIdle) == true
            }
            return room.flatMap { calls[$0] } ?? []
        }
    }
}

extension AccessLimits.Subject {
    /// As a person is told: "8 calls of one user at a time".
    func sentence(_ limit: Int) -> String {
        switch self {
        case .callsOfDevice: "\(limit) calls of one device at a time"
        case .callsOfUser: "\(limit) calls of one user at a time"
        case .participantsOfUser: "\(limit) devices of one user in calls at a time"
        case .callsOfHomeserver: "\(limit) calls with users of one other homeserver at a time"
        case .participantsOfHomeserver: "\(limit) devices of users of one other homeserver at a time"
        case .participantsOfRoom: "\(limit) devices in the call of this room"
        }
    }

    /// What the person can do about it.
    var nextStep: String {
        switch self {
        case .callsOfDevice, .callsOfUser: "leave another call, or ask an administrator of calls"
        case .participantsOfUser: "leave a call on another device, or ask an administrator of calls"
        case .callsOfHomeserver, .participantsOfHomeserver:
            "try later, or ask the administrators of this focus for more"
        case .participantsOfRoom: "wait until somebody leaves"
        }
    }
}
