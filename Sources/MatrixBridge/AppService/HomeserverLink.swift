// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
package import Logging

/// The start-up handshake with the homeserver and its repetition: our token is known, the bot exists, the homeserver
/// reaches us.
///
///     whoami ──▶ register bot ──▶ ping ──▶ ready ──(every minute)──▶ ping …
///        │ wrong token: ends the process        │ fails: unreachable, tried again with back-off
///
/// A successful ping also makes the homeserver resume a queue of transactions that it had stopped.
package actor HomeserverLink {
    package enum State: Equatable, Sendable {
        case connecting
        /// Tried `failures` times in a row; `problem` is a sentence for people, anybody of them: without the
        /// homeserver's own words, which the log has.
        case unreachable(failures: Int, problem: String)
        case ready(pingMilliseconds: Int64)
    }

    private let client: MatrixClient
    private let appServiceID: String
    private let bot: UserID
    private let clock: ServiceClock
    private let logger: Logger
    private let onFirstContact: @Sendable () -> Void
    private var wasReady = false
    private var transactionNumber = 0
    package private(set) var state = State.connecting

    private static let millisecondsBetweenPings: UInt64 = 60_000

    /// - Parameter onFirstContact: Called once, when both directions work and the bot exists.
    package init(
        client: MatrixClient, appServiceID: String, bot: UserID, clock: ServiceClock, logger: Logger,
        onFirstContact: @escaping @Sendable () -> Void = {},
    ) {
        self.client = client
        self.appServiceID = appServiceID
        self.bot = bot
        self.clock = clock
        self.logger = logger
        self.onFirstContact = onFirstContact
    }

    /// Connects and stays connected until the task is cancelled.
    ///
    /// - Throws: ``Termination`` when trying again cannot help: the operator must change something.
    package func run() async throws(Termination) {
        var isKnown = false
        while !Task.isCancelled {
            let delay: UInt64
            do throws(MatrixClientError) {
                if !isKnown {
                    try await introduce()
                    isKnown = true
                }
                transactionNumber += 1
                let duration = try await client.ping(
                    appServiceID: appServiceID, transactionID: "ping\(transactionNumber)")
                becameReady(duration)
                delay = Self.millisecondsBetweenPings
            } catch {
                if let termination = Self.termination(for: error, appServiceID: appServiceID, bot: bot) {
                    throw termination
                }
                delay = failed(error)
            }
            guard (try? await clock.sleep(delay)) != nil else { return }
        }
    }

    private func introduce() async throws(MatrixClientError) {
        _ = try await client.whoami()
        try await client.register(localpart: bot.localpart)
    }

    private func becameReady(_ duration: Int64) {
        switch state {
        case .connecting, .unreachable:
            logger.info("The homeserver is connected in both directions", metadata: ["ping.ms": "\(duration)"])
        case .ready: break
        }
        state = .ready(pingMilliseconds: duration)
        guard !wasReady else { return }
        wasReady = true
        onFirstContact()
    }

    private func failed(_ error: MatrixClientError) -> UInt64 {
        let problem = Self.problem(error)
        var failures = 1
        if case .unreachable(let count, let known) = state {
            failures = count + 1
            // One line a problem, not one a try.
            if known != problem { warn(problem, error) }
        } else {
            warn(problem, error)
        }
        state = .unreachable(failures: failures, problem: problem)
        var requested: UInt64?
        if case .refused(let error) = error { requested = error.retryAfterMilliseconds }
        return RetryPolicy.homeserver.delayMilliseconds(
            failures: failures, requested: requested, random: Double.random(in: 0..<1))
    }

    private func warn(_ problem: String, _ error: MatrixClientError) {
        logger.warning(
            "The homeserver is not connected; trying again",
            metadata: ["error.code": "\(problem)", "error.message": "\(error)"])
    }

    /// What a failure means, for people.
    private static func problem(_ error: MatrixClientError) -> String {
        guard case .refused(let refusal) = error else { return error.description }
        return switch refusal.code.rawValue {
        case "M_BAD_STATUS":
            "the homeserver reaches us and is refused; did it load the registration we use?"
        case "M_CONNECTION_FAILED", "M_CONNECTION_TIMEOUT":
            "the homeserver cannot reach the url of our registration"
        default: "the homeserver refuses us with HTTP \(refusal.status); the log has its words"
        }
    }

    /// The end of the process, if waiting cannot help.
    static func termination(for error: MatrixClientError, appServiceID: String, bot: UserID) -> Termination? {
        guard case .refused(let refusal) = error else { return nil }
        switch (refusal.status, refusal.code) {
        case (401, _):
            return Termination(
                .tokenMismatch, cause: "the homeserver does not know our as_token (\(refusal.code.rawValue))",
                source: "registration \(appServiceID)",
                fix: "list the registration under app_service_config_files and restart the homeserver")
        case (403, _):
            return Termination(
                .tokenMismatch, cause: "the homeserver knows our as_token under another id (\(refusal.message))",
                source: "registration \(appServiceID)",
                fix: "give the homeserver the registration file that this service uses and restart the homeserver")
        case (400, MatrixErrorCode(rawValue: "M_EXCLUSIVE")):
            return Termination(
                .registration, cause: "the registration's namespace does not contain the bot \(bot)",
                source: "registration \(appServiceID)",
                fix: "generate the registration anew, give it to the homeserver and restart the homeserver")
        case (400, MatrixErrorCode(rawValue: "M_URL_NOT_SET")):
            return Termination(
                .registration, cause: "the registration has no url, so the homeserver sends no events",
                source: "registration \(appServiceID)", fix: "set url to where the homeserver reaches this service")
        default:
            return nil
        }
    }
}
