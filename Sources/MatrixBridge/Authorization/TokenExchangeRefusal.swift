// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// Why a client got no token. Each case is one status, one `errcode` and a sentence a person can act on.
package enum TokenExchangeRefusal: Error, Equatable, Sendable {
    case notJSON
    case wrongType(String)
    case missingField(String)
    case malformedField(String)
    case bodyTooLarge
    /// The delayed leave of a user whose server has no full access.
    case delegationNotAllowed
    /// The client API of the user's server cannot be found, so its delayed leave could not be kept.
    case clientAPIUnknown
    /// The user has no delayed event of that id that ends a call of the room.
    case delayedEventUnknown
    /// The delayed leave could not be stored.
    case delegationFailed
    /// The user's server says that the token is not one of its own.
    case tokenNotValid
    /// The user's server could not be asked.
    case lookupFailed(String)
    /// Our own homeserver does not answer, so nobody can be verified.
    case homeserverDown(String)
    /// The verified user belongs to another server than the token names.
    case userOfOtherServer
    /// The verified user is not the one the request claims.
    case userDiffersFromClaim
    case notJoined
    /// Membership is required and nobody could say whether the user is joined.
    case membershipUnknown
    /// The user's power level does not allow to take part in calls of the room.
    ///
    /// - Parameters:
    ///   - needs: nil when no level is enough.
    ///   - event: The event type whose level it is; nil when the level is configured.
    case levelTooLow(has: PowerLevel, needs: PowerLevel?, event: String?)
    /// The room was closed by a tombstone.
    case roomReplaced(by: RoomID?)
    /// A rule of the configuration has no calls in the room.
    case callsNotAllowed(rule: String)
    /// A rule of the configuration names who may take part in calls of the room, and the user is not among them.
    case userNotAllowed(rule: String)
    /// So many at a time, and no more.
    case limitReached(AccessLimits.Subject, limit: Int)
    case rateLimited(retryAfterMilliseconds: UInt64, scope: AccessLimits.RateScope = .service)
    case roomCreationFailed
    case signingFailed
    case shuttingDown

    /// The refusals without their details: what is counted.
    package enum Reason: String, CaseIterable, Sendable {
        case notJSON, wrongType, missingField, malformedField, bodyTooLarge, delegationNotAllowed, clientAPIUnknown
        case delayedEventUnknown, delegationFailed, tokenNotValid, lookupFailed, homeserverDown, userOfOtherServer
        case userDiffersFromClaim, notJoined, membershipUnknown, levelTooLow, roomReplaced, callsNotAllowed
        case userNotAllowed, limitReached, rateLimited
        case roomCreationFailed, signingFailed, shuttingDown
    }

    package var reason: Reason {
        switch self {
        case .notJSON: .notJSON
        case .wrongType: .wrongType
        case .missingField: .missingField
        case .malformedField: .malformedField
        case .bodyTooLarge: .bodyTooLarge
        case .delegationNotAllowed: .delegationNotAllowed
        case .clientAPIUnknown: .clientAPIUnknown
        case .delayedEventUnknown: .delayedEventUnknown
        case .delegationFailed: .delegationFailed
        case .tokenNotValid: .tokenNotValid
        case .lookupFailed: .lookupFailed
        case .homeserverDown: .homeserverDown
        case .userOfOtherServer: .userOfOtherServer
        case .userDiffersFromClaim: .userDiffersFromClaim
        case .notJoined: .notJoined
        case .membershipUnknown: .membershipUnknown
        case .levelTooLow: .levelTooLow
        case .roomReplaced: .roomReplaced
        case .callsNotAllowed: .callsNotAllowed
        case .userNotAllowed: .userNotAllowed
        case .limitReached: .limitReached
        case .rateLimited: .rateLimited
        case .roomCreationFailed: .roomCreationFailed
        case .signingFailed: .signingFailed
        case .shuttingDown: .shuttingDown
        }
    }

    package var matrixError: MatrixError {
        switch self {
        case .notJSON:
            MatrixError(status: 400, code: .notJSON, message: "the request body is not a JSON object")
        case .wrongType(let field):
            MatrixError(status: 400, code: .notJSON, message: "\(field) has the wrong JSON type")
        case .missingField(let field):
            MatrixError(status: 400, code: .badJSON, message: "\(field) is missing or empty")
        case .malformedField(let field):
            MatrixError(status: 400, code: .badJSON, message: "\(field) is not a valid value")
        case .bodyTooLarge:
            MatrixError(status: 413, code: .tooLarge, message: "the request body is larger than 1 MiB")
        case .delegationNotAllowed:
            MatrixError(
                status: 400, code: .badJSON,
                message: "delayed leave events are taken over only for users of this focus's own servers")
        case .clientAPIUnknown:
            MatrixError(
                status: 400, code: .badJSON,
                message: "the user's server says nowhere where its client API is, so its delayed leave event cannot be "
                    + "kept; repeat without delay_id and delay_timeout")
        case .delayedEventUnknown:
            MatrixError(
                status: 400, code: .badJSON,
                message: "the user has no delayed event of this delay_id that ends a call of the room; schedule one, "
                    + "or repeat without delay_id and delay_timeout")
        case .delegationFailed:
            MatrixError(status: 500, code: .unknown, message: "the delayed leave event could not be stored; try again")
        case .tokenNotValid:
            MatrixError(
                status: 401, code: .unauthorized,
                message: "the user's homeserver does not know this OpenID token; ask it for a new one")
        case .lookupFailed(let detail):
            MatrixError(
                status: 401, code: .unauthorized, message: "the user's homeserver could not verify the token: \(detail)"
            )
        case .homeserverDown(let detail):
            MatrixError(
                status: 502, code: .unknown,
                message: "the homeserver of this focus does not answer (\(detail)); try later")
        case .userOfOtherServer:
            MatrixError(
                status: 401, code: .unauthorized, message: "the verified user is not on the server the token names")
        case .userDiffersFromClaim:
            MatrixError(status: 401, code: .unauthorized, message: "the verified user is not member.claimed_user_id")
        case .notJoined:
            MatrixError(
                status: 403, code: .forbidden,
                message: "the user is not joined to the room; join it (an invitation is not enough) and try again")
        case .membershipUnknown:
            MatrixError(
                status: 502, code: .unknown,
                message:
                    "whether the user is joined to the room could not be found out; invite the call bot or try later")
        case .levelTooLow(let has, let needs, let event):
            MatrixError(
                status: 403, code: .forbidden,
                message: Self.levelSentence(has: has, needs: needs, event: event))
        case .roomReplaced(let replacement):
            MatrixError(
                status: 403, code: .forbidden,
                message: "the room was closed; "
                    + (replacement.map { "join \($0), which takes its place" } ?? "call in another room"))
        case .callsNotAllowed(let rule):
            MatrixError(
                status: 403, code: .forbidden,
                message: "this focus has no calls in the room (matrix.rooms, \(rule)); call in another room, or ask "
                    + "the administrators of this focus")
        case .userNotAllowed(let rule):
            MatrixError(
                status: 403, code: .forbidden,
                message: "only certain users may take part in calls of the room (matrix.rooms, \(rule)), and the user "
                    + "is none of them; ask the administrators of this focus")
        case .limitReached(let subject, let limit):
            MatrixError(
                status: 403, code: .forbidden,
                message: "this focus allows \(subject.sentence(limit)); \(subject.nextStep)")
        case .rateLimited(let milliseconds, let scope):
            MatrixError(
                status: 429, code: .limitExceeded, message: Self.rateSentence(scope, milliseconds),
                retryAfterMilliseconds: milliseconds)
        case .roomCreationFailed:
            MatrixError(status: 500, code: .unknown, message: "the call's room could not be created")
        case .signingFailed:
            MatrixError(status: 500, code: .unknown, message: "the token could not be signed")
        case .shuttingDown:
            MatrixError(status: 503, code: .unknown, message: "the service is shutting down")
        }
    }

    private static func rateSentence(_ scope: AccessLimits.RateScope, _ milliseconds: UInt64) -> String {
        let whose =
            switch scope {
            case .user: " of this user"
            case .device: " of this device"
            case .room: " for this room"
            case .homeserver: " of users of this homeserver"
            case .service: ""
            }
        return "too many token requests\(whose); try again in \((milliseconds + 999) / 1_000) s"
    }

    /// What is needed, and who can give it.
    private static func levelSentence(has: PowerLevel, needs: PowerLevel?, event: String?) -> String {
        guard let needs else { return "this focus lets nobody take part in calls (levels.join: never)" }
        let next =
            event.map { "ask a moderator to raise your level, or to lower the one that \($0) needs in this room" }
            ?? "ask a moderator of the room to raise your level"
        return "power level \(needs) is needed to take part in calls of this room, and the user has \(has); \(next)"
    }
}
