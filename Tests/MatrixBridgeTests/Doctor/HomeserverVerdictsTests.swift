// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Testing

@testable import MatrixBridge

@Suite("Doctor: what answers mean, and the fix for each mistake")
struct HomeserverVerdictsTests {
    static let url = "http://hs.internal:8008"

    static func refused(_ status: Int, _ code: String) -> MatrixClientError {
        .refused(MatrixError(status: status, code: MatrixErrorCode(rawValue: code), message: "why"))
    }

    static func check(
        _ finding: DoctorFinding, _ severity: DoctorFinding.Severity, _ text: String = "", fix: String = "",
        _ location: SourceLocation = #_sourceLocation,
    ) {
        #expect(finding.severity == severity, "\(finding.report)", sourceLocation: location)
        #expect(finding.text.contains(text), "\(finding.report)", sourceLocation: location)
        #expect(finding.remedy.contains(fix), "\(finding.report)", sourceLocation: location)
        #expect((severity == .ok) == finding.remedy.isEmpty, sourceLocation: location)
    }

    @Test("address and features")
    func versions() throws {
        func verdict(_ answer: HomeserverVerdicts.Answer) -> (findings: [DoctorFinding], features: Set<String>?) {
            HomeserverVerdicts.versions(answer, url: Self.url)
        }
        let down = verdict(.failure(.connectionFailed("refused")))
        Self.check(down.findings[0], .fail, "nothing answers", fix: "matrix.homeserver_url")
        #expect(down.features == nil)
        for body in ["<html>", "{}", "[]", #"{"versions":7}"#] {
            let other = verdict(.success(HTTPClientResponse(status: 200, body: Array(body.utf8))))
            Self.check(other.findings[0], .fail, "no Matrix client API", fix: "matrix.homeserver_url")
            #expect(other.features == nil)
        }
        let good = verdict(
            .success(
                .json(
                    .object([
                        "versions": .array([]),
                        "unstable_features": .object([
                            "org.matrix.msc4140": .bool(true), "org.matrix.msc4354": .bool(false), "x": .integer(1),
                        ]),
                    ]))))
        #expect(good.features == ["org.matrix.msc4140"])
        let missing = HomeserverVerdicts.features(try #require(good.features))
        #expect(missing.count == 2)
        Self.check(missing[0], .fail, "org.matrix.msc4354", fix: "msc4354_enabled: true")
        let without = HomeserverVerdicts.features([])
        Self.check(without[0], .fail, "org.matrix.msc4140", fix: "max_event_delay_duration")
        let all = HomeserverVerdicts.features(["org.matrix.msc4140", "org.matrix.msc4354", "org.matrix.msc4143"])
        Self.check(all[0], .ok)
    }

    @Test(
        "clocks",
        arguments: [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777, DoctorFinding.Severity.ok),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_807, .ok),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_808, .fail),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_746, .fail),
            ("Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_800, .ok),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0, .ok),
        ])
    func clocks(date: String, ours: Int64, severity: DoctorFinding.Severity) {
        #expect(HomeserverVerdicts.clock(date, ours: ours).severity == severity)
    }

    @Test(
        "dates of other forms are no dates",
        arguments: [
            "", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov 99999 08:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT", "Sun, +6 Nov 1994 08:49:37 GMT",
        ])
    func noDates(text: String) {
        #expect(HTTPDate.unixSeconds(text) == nil)
        #expect(HomeserverVerdicts.clock(text, ours: 0).severity == .warn)
    }

    @Test("tokens, ping and the second registration")
    func credentials() {
        func token(_ error: MatrixClientError?) -> DoctorFinding {
            HomeserverVerdicts.token(error, registration: "callbridge", key: "matrix.registration")
        }
        Self.check(token(nil), .ok)
        Self.check(token(Self.refused(401, "M_UNKNOWN_TOKEN")), .fail, "does not know", fix: "app_service_config_files")
        Self.check(token(.noAnswer(.timedOut)), .fail, "does not say")
        func ping(_ result: Result<Int64, MatrixClientError>) -> DoctorFinding {
            HomeserverVerdicts.ping(result, url: "http://bridge:7880")
        }
        Self.check(ping(.success(3)), .ok, "3 ms")
        Self.check(ping(.failure(Self.refused(502, "M_BAD_STATUS"))), .fail, "hs_token", fix: "registration file")
        Self.check(ping(.failure(Self.refused(502, "M_CONNECTION_FAILED"))), .fail, "cannot reach", fix: "set url")
        Self.check(ping(.failure(Self.refused(400, "M_URL_NOT_SET"))), .fail, "no url", fix: "http://bridge:7880")
        Self.check(ping(.failure(.noAnswer(.timedOut))), .fail)
        Self.check(HomeserverVerdicts.delegation(nil), .ok)
        Self.check(
            HomeserverVerdicts.delegation(Self.refused(404, "M_UNRECOGNIZED")), .fail, "MSC4502",
            fix: "msc4502_enabled")
        Self.check(HomeserverVerdicts.delegation(Self.refused(403, "M_FORBIDDEN")), .fail, fix: "--delegated")
        Self.check(HomeserverVerdicts.delegation(Self.refused(400, "M_INVALID_PARAM")), .ok)
    }

    @Test("OpenID: only a refusal of the invented token is right")
    func openID() {
        func verdict(_ status: Int) -> DoctorFinding {
            HomeserverVerdicts.openID(.success(.error(status, "M_X")), url: Self.url)
        }
        Self.check(verdict(401), .ok)
        Self.check(verdict(404), .fail, "HTTP 404", fix: "add openid")
        Self.check(verdict(200), .fail)
        Self.check(HomeserverVerdicts.openID(.failure(.timedOut), url: Self.url), .fail, fix: "add openid")
    }

    @Test("the token service behind its proxy")
    func crossOrigin() {
        func verdict(
            _ origins: [String], status: Int = 400, body: String = #"{"errcode":"M_NOT_JSON"}"#,
        ) -> DoctorFinding {
            HomeserverVerdicts.crossOrigin(
                .success(
                    HTTPClientResponse(
                        status: status, headers: origins.map { HTTPClientField("access-control-allow-origin", $0) },
                        body: Array(body.utf8))), url: "https://call.example.com")
        }
        Self.check(verdict(["*"]), .ok)
        Self.check(verdict([]), .fail, "lost", fix: "proxy_hide_header")
        Self.check(verdict(["*", "*"]), .fail, "* and *", fix: "add_header")
        Self.check(verdict(["*"], status: 404), .fail, "something else", fix: "prefix")
        Self.check(verdict(["*"], body: "<html>"), .fail, "something else")
        Self.check(
            HomeserverVerdicts.crossOrigin(.failure(.nameNotResolved), url: "x"), .fail, "cannot be reached")
    }

    @Test("rooms: ids of version 12, levels, stale devices")
    func rooms() throws {
        let hash = String(repeating: "a", count: 42) + "_"
        Self.check(
            try #require(RoomVerdicts.identifier("!\(hash):example.com")), .fail, "version 12", fix: "write !\(hash)")
        for right in ["!\(hash)", "!short:example.com", "#alias:example.com", ""] {
            #expect(RoomVerdicts.identifier(right) == nil)
        }
        Self.check(
            RoomVerdicts.level(AccessPolicyTests.facts(level: 0)), .fail, "needs 50",
            fix: AccessPolicyTests.callMember)
        Self.check(
            RoomVerdicts.level(AccessPolicyTests.facts(level: 0, events: [AccessPolicyTests.callMember: 0])), .ok)
        Self.check(RoomVerdicts.bot(FakeHomeserver.bot, isJoined: false), .warn, fix: "invite")
        let events = TransactionInboxTests()
        let state = RoomState(
            [events.member("join", event: "$m"), events.membership(event: "$call")], of: TransactionInboxTests.room)
        var roster = CallRoster()
        for event in state.events { _ = roster.apply(event, at: events.clock.now) }
        let members = roster.members(in: TransactionInboxTests.room)
        #expect(members.count == 1)
        let alice = TransactionInboxTests.alice
        #expect(RoomVerdicts.devices(members, devices: [alice: [Identifier.device("DEVICE")]]).isEmpty)
        #expect(RoomVerdicts.devices(members, devices: [:]).isEmpty, "who could not be asked is not judged")
        let stale = RoomVerdicts.devices(members, devices: [alice: []])
        Self.check(try #require(stale.first), .fail, "device DEVICE", fix: "$call")
    }
}
