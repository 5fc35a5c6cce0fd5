// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// Carries out what a leg's membership asks of the homeserver.
package protocol LegHomeserver: Sendable {
    func perform(_ request: LegMembership.Request, for leg: LegAnnouncement) async -> LegMembership.Answer
}

/// With the token of our registration, as the leg's user.
package struct LegRequests: LegHomeserver {
    private let client: MatrixClient

    private static let timeoutMilliseconds = 5_000
    /// Lost leaves that are taken back at once; there is one for each answer that did not reach us.
    private static let maximumLostLeaves = 8
    /// As Synapse names it, and the proposal before and after.
    private static let delayTooLongCodes = [
        "ORG.MATRIX.MSC4140_DELAY_TOO_LARGE", "M_MAX_DELAY_EXCEEDED", "M_DELAY_TOO_LARGE",
    ]

    package init(client: MatrixClient) {
        self.client = client
    }

    package func perform(_ request: LegMembership.Request, for leg: LegAnnouncement) async -> LegMembership.Answer {
        let user = MatrixClient.Masquerade(userID: leg.user)
        do throws(MatrixClientError) {
            switch request {
            case .scheduleLeave(let delay):
                await cancelLostLeaves(of: leg, as: user)
                // A homeserver without delayed events takes the leave at once and names no delay.
                let delayID = try await put([:], of: leg, delay: delay)["delay_id"]?.string
                return delayID.map { .scheduled(delayID: $0) } ?? .unsupported
            case .announce(let createdAt, let expires):
                let answer = try await put(leg.content(createdAt: createdAt, expires: expires), of: leg)
                return answer["event_id"]?.string.flatMap(EventID.init).map { .announced($0) } ?? .failed
            case .leave: _ = try await put([:], of: leg)
            case .restart(let delayID):
                try await client.manageDelayedEvent(
                    delayID, DelayedLeave.Request.restart.rawValue, as: user,
                    timeoutMilliseconds: Self.timeoutMilliseconds)
            case .sendLeave(let delayID):
                try await client.manageDelayedEvent(
                    delayID, DelayedLeave.Request.send.rawValue, as: user,
                    timeoutMilliseconds: Self.timeoutMilliseconds)
            }
            return .done
        } catch {
            return Self.answer(error, to: request)
        }
    }

    /// A leave whose id never reached us would take out the membership that is announced next. Nothing is known to be
    /// held when one is scheduled, so whatever there is of this membership is such a leave. As well as it goes: a
    /// homeserver that does not list them has to be lived with.
    private func cancelLostLeaves(of leg: LegAnnouncement, as user: MatrixClient.Masquerade) async {
        let events = try? await client.delayedEvents(as: user, timeoutMilliseconds: Self.timeoutMilliseconds)
        for delayID in Self.delayIDs(of: leg, in: events ?? []).prefix(Self.maximumLostLeaves) {
            try? await client.manageDelayedEvent(
                delayID, "cancel", as: user, timeoutMilliseconds: Self.timeoutMilliseconds)
        }
    }

    static func delayIDs(of leg: LegAnnouncement, in events: [JSONValue]) -> [String] {
        events.filter { event in
            event["room_id"]?.string == leg.room.rawValue && event["state_key"]?.string == leg.stateKey
                && event["type"]?.string == SessionStateMembership.eventType
        }.compactMap { $0["delay_id"]?.string }
    }

    private func put(
        _ content: JSONObject, of leg: LegAnnouncement, delay: Milliseconds? = nil,
    ) async throws(MatrixClientError) -> JSONValue {
        try await client.call(
            .put,
            ["client", "v3", "rooms", leg.room.rawValue, "state", SessionStateMembership.eventType, leg.stateKey],
            query: delay.map { [("org.matrix.msc4140.delay", "\($0)")] } ?? [], body: .object(content),
            as: .init(userID: leg.user), timeoutMilliseconds: Self.timeoutMilliseconds)
    }

    static func answer(_ error: MatrixClientError, to request: LegMembership.Request) -> LegMembership.Answer {
        guard case .refused(let refusal) = error else { return .failed }
        if refusal.status == 429 {
            return .limited(retryAfter: refusal.retryAfterMilliseconds.map { Milliseconds(clamping: $0) })
        }
        // 401: the homeserver no longer knows our token; the link to it says so and ends the process.
        if error.isTransient || refusal.status == 401 { return .failed }
        switch request {
        case .scheduleLeave:
            let code = refusal.details["org.matrix.msc4140.errcode"]?.string ?? refusal.code.rawValue
            guard delayTooLongCodes.contains(code) else { return .unsupported }
            return .delayTooLong(maximum: permittedDelay(refusal))
        case .restart, .sendLeave: return .gone
        case .announce, .leave: return .refused("\(refusal.code.rawValue): \(refusal.message)")
        }
    }

    /// Of a field, or as Synapse writes it into its sentence: `… exceeds the allowed maximum (86400000ms)`.
    private static func permittedDelay(_ refusal: MatrixError) -> Milliseconds? {
        if let field = refusal.details["org.matrix.msc4140.max_delay"]?.integer { return field }
        guard let maximum = refusal.message.firstRange(of: "maximum (") else { return nil }
        let rest = refusal.message[maximum.upperBound...]
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        return rest[digits.endIndex...].hasPrefix("ms)") ? Milliseconds(digits) : nil
    }
}
