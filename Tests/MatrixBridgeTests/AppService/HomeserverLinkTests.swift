// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Logging
import MatrixBridge
import Testing

@Suite("Homeserver link")
struct HomeserverLinkTests {
    let homeserver = FakeHomeserver()

    func link(_ clock: ManualClock, token: String = FakeHomeserver.asToken) -> HomeserverLink {
        HomeserverLink(
            client: MatrixClient(transport: homeserver, baseURL: FakeHomeserver.localBaseURL, asToken: token),
            appServiceID: "callbridge", bot: FakeHomeserver.bot, clock: clock.clock,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    @Test("introduces itself once, then pings every minute")
    func ready() async throws {
        let clock = ManualClock(maximumSleeps: 2)
        let link = link(clock)
        #expect(await link.state == .connecting)
        try await link.run()
        #expect(await link.state == .ready(pingMilliseconds: 7))
        #expect(clock.sleeps == [60_000, 60_000, 60_000])
        #expect(await homeserver.requestCount(of: "/whoami") == 1)
        #expect(await homeserver.requestCount(of: "/register") == 1)
        #expect(await homeserver.requestCount(of: "/appservice/callbridge/ping") == 3)
    }

    @Test("the first contact is told once")
    func firstContact() async throws {
        let contacts = Tally<String>()
        let link = HomeserverLink(
            client: MatrixClient(
                transport: homeserver, baseURL: FakeHomeserver.localBaseURL, asToken: FakeHomeserver.asToken),
            appServiceID: "callbridge", bot: FakeHomeserver.bot, clock: ManualClock(maximumSleeps: 2).clock,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            onFirstContact: { contacts.count("contact") })
        await homeserver.answer("/ping", with: .failure(.timedOut))
        try await link.run()
        #expect(contacts["contact"] == 0)
        await homeserver.removeAnswers()
        try await link.run()
        #expect(contacts["contact"] == 1)
    }

    @Test("a token the homeserver does not know ends the process with code 13 and says what to do")
    func tokenMismatch() async {
        let error = await #expect(throws: Termination.self) {
            try await link(ManualClock(maximumSleeps: 9), token: "other").run()
        }
        #expect(error?.status == .tokenMismatch)
        #expect(error?.status.rawValue == 13)
        #expect(error?.fix.contains("app_service_config_files") == true)
        #expect(await homeserver.requests.count == 1)
    }

    @Test("a registration without a url or with another namespace cannot be waited out")
    func registration() async {
        for (part, code) in [("/ping", "M_URL_NOT_SET"), ("/register", "M_EXCLUSIVE")] {
            await homeserver.removeAnswers()
            await homeserver.answer(part, with: .success(.error(400, code)))
            let error = await #expect(throws: Termination.self) { try await link(ManualClock(maximumSleeps: 9)).run() }
            #expect(error?.status == .registration)
        }
    }

    @Test("a homeserver that is down is tried again with growing pauses and a state that says why")
    func down() async throws {
        await homeserver.answer("hs.internal", with: .failure(.connectionFailed("refused")))
        let clock = ManualClock(maximumSleeps: 5)
        let link = link(clock)
        try await link.run()
        #expect(
            await link.state
                == .unreachable(failures: 6, problem: "no answer: the connection failed: refused"))
        #expect(clock.sleeps[0] <= 1_000)
        #expect(clock.sleeps[5] >= 3_796)
    }

    @Test("a homeserver that cannot reach us is told apart")
    func unreachableURL() async throws {
        await homeserver.answer("/ping", with: .success(.error(502, "M_CONNECTION_FAILED")))
        let link = link(ManualClock())
        try await link.run()
        guard case .unreachable(1, let problem) = await link.state else {
            Issue.record("not unreachable")
            return
        }
        #expect(problem.contains("url of our registration"))
    }

    @Test("what the homeserver says is for the log, not for whoever asks whether we are ready")
    func ownWords() async throws {
        for code in ["M_CONNECTION_FAILED", "M_BAD_STATUS", "M_SECRET_PROBLEM"] {
            await homeserver.removeAnswers()
            await homeserver.answer("/ping", with: .success(.error(502, code)))
            let link = link(ManualClock())
            try await link.run()
            let readiness = Readiness(homeserver: await link.state, backlog: 0)
            #expect(readiness.problems.count == 1)
            #expect(!readiness.problems[0].contains("refused by the test") && !readiness.problems[0].contains(code))
        }
    }

    @Test(
        "register treats a user that exists as success", arguments: ["M_USER_IN_USE", "M_APPSERVICE_LOGIN_UNSUPPORTED"])
    func registered(code: String) async throws {
        await homeserver.answer("/register", with: .success(.error(400, code)))
        try await link(ManualClock()).run()
    }
}
