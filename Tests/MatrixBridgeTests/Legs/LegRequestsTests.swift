// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Testing

@testable import MatrixBridge

@Suite("What homeservers answer to the memberships of our legs")
struct LegRequestsTests {
    static func refusal(
        _ status: Int, _ code: String, _ message: String = "", wait: UInt64? = nil, details: JSONObject = [:],
    ) -> MatrixClientError {
        var members = details
        members["errcode"] = .string(code)
        members["error"] = .string(message)
        if let wait { members["retry_after_ms"] = .integer(Int64(wait)) }
        return .refused(
            MatrixError(refusal: HTTPClientResponse(status: status, body: JSONValue.object(members).compactJSON)))
    }

    @Test(
        "answers to the order of a delayed leave",
        arguments: [
            (refusal(403, "M_FORBIDDEN"), .unsupported), (refusal(404, "M_UNRECOGNIZED"), .unsupported),
            (refusal(400, "M_UNKNOWN"), .unsupported),
            (refusal(429, "M_LIMIT_EXCEEDED", wait: 700), .limited(retryAfter: 700)),
            (refusal(429, "M_LIMIT_EXCEEDED"), .limited(retryAfter: nil)),
            (refusal(502, "M_UNKNOWN"), .failed), (refusal(401, "M_UNKNOWN_TOKEN"), .failed),
            (.noAnswer(.timedOut), .failed), (.unexpectedAnswer(request: "state"), .failed),
            (
                refusal(
                    400, "ORG.MATRIX.MSC4140_DELAY_TOO_LARGE",
                    "The requested delay (30000ms) exceeds the allowed maximum (5000ms)"),
                .delayTooLong(maximum: 5_000)
            ),
            (
                refusal(
                    400, "M_UNKNOWN",
                    details: [
                        "org.matrix.msc4140.errcode": .string("M_MAX_DELAY_EXCEEDED"),
                        "org.matrix.msc4140.max_delay": .integer(8_000),
                    ]), .delayTooLong(maximum: 8_000)
            ),
            (refusal(400, "M_MAX_DELAY_EXCEEDED", "maximum (99999999999999999999ms)"), .delayTooLong(maximum: nil)),
            (refusal(400, "M_MAX_DELAY_EXCEEDED", "maximum (12"), .delayTooLong(maximum: nil)),
        ] as [(MatrixClientError, LegMembership.Answer)])
    func scheduling(error: MatrixClientError, answer: LegMembership.Answer) {
        #expect(LegRequests.answer(error, to: .scheduleLeave(delay: 30_000)) == answer)
    }

    @Test("of the delayed events that a homeserver lists, those of this very membership are lost leaves")
    func lostLeaves() throws {
        let leg = LegAnnouncement(
            room: CallCoordinatorTests.room, user: FakeHomeserver.bot, device: Identifier.device("ECHO"),
            roomVersion: "11", serviceURL: "https://rtc.example.com")
        func event(_ id: String, _ change: JSONObject = [:]) -> JSONValue {
            .object(
                [
                    "delay_id": .string(id), "room_id": .string(leg.room.rawValue),
                    "type": .string(SessionStateMembership.eventType), "state_key": .string(leg.stateKey),
                ].merging(change) { $1 })
        }
        let events = [
            event("lost"), event("room", ["room_id": .string("!other:example.com")]),
            event("type", ["type": .string("m.room.topic")]), event("key", ["state_key": .string("_@a:b_D_m.call")]),
            event("message", ["state_key": .null]), event("x", ["delay_id": .integer(1)]), .null, event("also lost"),
        ]
        #expect(LegRequests.delayIDs(of: leg, in: events) == ["lost", "also lost"])
    }

    @Test("answers to an announcement, a leave, a restart and a delayed leave that is sent")
    func others() {
        let forbidden = Self.refusal(403, "M_FORBIDDEN", "no")
        let announcement = LegMembership.Request.announce(createdAt: 1, expires: 1)
        for request in [announcement, .leave] {
            #expect(LegRequests.answer(forbidden, to: request) == .refused("M_FORBIDDEN: no"))
            #expect(LegRequests.answer(Self.refusal(500, "M_UNKNOWN"), to: request) == .failed)
        }
        for request in [LegMembership.Request.restart(delayID: "d"), .sendLeave(delayID: "d")] {
            #expect(LegRequests.answer(Self.refusal(404, "M_NOT_FOUND"), to: request) == .gone)
            #expect(LegRequests.answer(Self.refusal(503, "M_UNKNOWN"), to: request) == .failed)
        }
    }
}
