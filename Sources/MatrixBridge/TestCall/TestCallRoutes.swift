// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import NIOConcurrencyHelpers
import NIOHTTP1

/// The test-call page and the endpoint that lets it start a test.
///
/// The page is for everybody who has its address; starting a test needs a link made by `callbridge test-link`, unless
/// the focus is a developer's.
struct TestCallRoutes: Sendable {
    /// Why no test was started.
    enum Refusal: String, CaseIterable, Sendable {
        case missing
        case expired
        case invalid
        case busy
        case signingFailed
    }

    let refusals = Tally<Refusal>()
    private let tokens: TestCallTokens
    private let isOpen: Bool
    private let clock: ServiceClock
    /// For all callers together: each test makes a room.
    private let rate = NIOLockedValueBox(RequestRate(burst: 20, perSecond: 1, maximumNames: 1))

    /// - Parameter isOpen: Whether tests start without a link.
    init(tokens: TestCallTokens, isOpen: Bool, clock: ServiceClock = .system) {
        self.tokens = tokens
        self.isOpen = isOpen
        self.clock = clock
    }

    /// - Parameter prefixes: Paths such as `/livekit`, without a slash at the end.
    func register(on router: inout HTTPRouter, prefixes: [String]) {
        for prefix in [""] + prefixes {
            for file in TestCallFile.all {
                let path = prefix + "/test" + (file.name.isEmpty ? "" : "/" + file.name)
                router.on(.GET, path) { request, _ in file.answer(to: request) }
            }
            // Names in the page are relative to /test. Relative, because a proxy may have taken a prefix away.
            router.on(.GET, prefix + "/test/") { _, _ in
                HTTPResponse(status: .permanentRedirect, headers: ["Location": "../test"])
            }
            router.on(.POST, prefix + "/test/run", bodyLimit: 0) { request, _ in run(request) }
        }
    }

    /// `POST /test/run`, the link as bearer token: the room and the tokens of one test.
    func run(_ request: HTTPRequest) -> HTTPResponse {
        var response = answer(request)
        response.headers.replaceOrAdd(name: "Cache-Control", value: "no-store")
        return response
    }

    private func answer(_ request: HTTPRequest) -> HTTPResponse {
        let now = clock.unixMilliseconds() / 1_000
        if !isOpen, let refusal = refusal(of: request.bearerToken, now: now) {
            return refuse(refusal, status: .unauthorized)
        }
        if let wait = rate.withLockedValue({ $0.spend("", at: clock.monotonic()) }) {
            var response = refuse(.busy, status: .tooManyRequests)
            response.headers.add(name: "Retry-After", value: String(wait / 1_000 + 1))
            return response
        }
        var generator = SystemRandomNumberGenerator()
        guard let run = try? tokens.run(now: now, using: &generator) else {
            return refuse(.signingFailed, status: .internalServerError)
        }
        let body = JSONValue.object([
            "room": .string(run.room), "publisher": .string(run.publisher), "listener": .string(run.listener),
            "relay": .string(run.relay),
        ])
        return .json(body.compactJSON)
    }

    private func refusal(of token: String?, now: Int64) -> Refusal? {
        guard let token, !token.isEmpty else { return .missing }
        do throws(TokenRefusal) {
            try tokens.checkLink(token, now: now)
            return nil
        } catch {
            switch error {
            case .expired: return .expired
            default: return .invalid
            }
        }
    }

    private func refuse(_ refusal: Refusal, status: HTTPResponseStatus) -> HTTPResponse {
        refusals.count(refusal)
        let body = JSONValue.object(["error": .string(refusal.rawValue)])
        return .json(body.compactJSON, status: status)
    }
}
