// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import Foundation
import Logging
import ServiceLifecycle

/// The Matrix side of the process: the link to the homeserver, the transaction inbox, the call roster and the token
/// exchange, wired together.
struct MatrixServices {
    let inbox: TransactionInbox
    let coordinator: CallCoordinator
    let enforcement: CallEnforcement
    let exchange: TokenExchange
    let link: HomeserverLink
    let attendance: RoomAttendance
    private let discoveryReport: DiscoveryReport
    private let appService: AppServiceRoutes

    /// - Throws: ``Termination`` when the database cannot be opened or a name is no Matrix name.
    init(
        _ settings: MatrixConfiguration, keys: APIKeySet, dataDirectory: String, focus: FocusServer, log: Logger
    ) async throws {
        guard let server = ServerName(settings.serverName),
            let bot = UserID("@\(settings.botLocalpart):\(settings.serverName)")
        else {
            throw Termination(
                .configuration, cause: "\(settings.serverName) is no server name", source: "matrix.server_name",
                fix: "write the server_name of the homeserver, as in `server_name: example.org`")
        }
        guard let key = keys.keys.first else {
            throw Termination(
                .configuration, cause: "there is no API key to sign tokens with", source: "keys",
                fix: "add the pair that `callbridge keys new` prints")
        }
        let clock = ServiceClock.system
        let database = try Self.openDatabase(in: dataDirectory)
        var http = HTTPClient.Configuration()
        http.verifiesCertificates = !settings.acceptsAnyTLSCertificate
        let transport = HTTPClient(configuration: http)
        let client = MatrixClient(
            transport: transport, baseURL: settings.homeserverURL, asToken: settings.applicationServiceToken.exposed)
        let delegate = settings.delegatedRegistration.map { registration in
            MatrixClient(
                transport: transport, baseURL: settings.homeserverURL, asToken: registration.asToken.exposed)
        }
        let control = FocusControl(directory: focus.directory)
        let issued = IssuedIdentities()
        let discovery = ServerDiscovery(
            transport: transport, resolver: SystemSRVResolver(),
            serversOnPrivateAddresses: Set(settings.privateServers.compactMap { ServerName($0) }),
            now: clock.monotonic)

        let policy = AccessPolicy(settings, localServer: server)
        let facts = RoomFactsBook()
        enforcement = CallEnforcement(policy: policy, focus: control, issued: issued, facts: facts, logger: log)
        let errands = WakeUps()
        coordinator = CallCoordinator(
            database: database, enforcement: enforcement, facts: facts,
            membershipPolicy: BotMembershipPolicy(bot: bot, access: policy), errands: errands, clock: clock,
            logger: log)
        attendance = RoomAttendance(
            client: client, database: database, coordinator: coordinator, bot: bot, wakeUps: errands, clock: clock,
            logger: log)
        inbox = TransactionInbox(database: database, consumer: coordinator, clock: clock, logger: log)
        let discoveryReport = DiscoveryReport(
            check: DiscoveryCheck(
                client: client, transport: transport, server: server, bot: bot,
                setup: DiscoverySetup(serviceURL: settings.livekitServiceURL, focusURL: settings.websocketURL)),
            logger: log)
        self.discoveryReport = discoveryReport
        link = HomeserverLink(
            client: client, appServiceID: settings.registrationID, bot: bot, clock: clock, logger: log,
            onFirstContact: {
                errands.wake()
                discoveryReport.wakeUps.wake()
            })
        exchange = TokenExchange(
            policy: policy, focusURL: settings.websocketURL,
            dependencies: .init(
                verifier: OpenIDVerifier(
                    transport: transport, discovery: discovery, localServer: server,
                    localBaseURL: settings.homeserverURL),
                membership: MembershipCheck(client: client, bot: bot, delegate: delegate, book: facts), focus: control,
                minter: JoinTokenMinter(key: key), issued: issued, clock: clock))
        appService = AppServiceRoutes(
            token: HomeserverToken(settings.homeserverToken.exposed), inbox: inbox, ownUsers: [bot.rawValue])
        do {
            try await coordinator.restore()
        } catch {
            throw Self.databaseTermination(error, in: dataDirectory)
        }
    }

    func registerRoutes(on router: inout HTTPRouter, prefixes: [String]) {
        let (link, inbox) = (link, inbox)
        MatrixRoutes(
            appService: appService, tokens: TokenRoutes(exchange: exchange),
            readiness: { await Readiness.current(link: link, inbox: inbox) }
        ).register(on: &router, prefixes: prefixes)
    }

    /// In the order of their start.
    var services: [any Service] {
        let (inbox, coordinator, link, exchange) = (inbox, coordinator, link, exchange)
        let (attendance, discoveryReport) = (attendance, discoveryReport)
        return [
            UntilShutdown({ await inbox.run() }),
            UntilShutdown({ await coordinator.run() }),
            UntilShutdown({ await attendance.run() }),
            UntilShutdown({ await discoveryReport.run() }),
            UntilShutdown({ try await link.run() }),
            UntilShutdown(Self.nothing, atShutdown: { await exchange.shutDown() }),
        ]
    }

    /// Waits for the end.
    @Sendable private static func nothing() async {
        for await _ in AsyncStream<Never>.makeStream().stream {}
    }

    private static func openDatabase(in directory: String) throws -> Database {
        do {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            return try Database(path: Database.path(in: directory))
        } catch {
            throw databaseTermination(error, in: directory)
        }
    }

    private static func databaseTermination(_ error: any Error, in directory: String) -> Termination {
        Termination(
            .database, cause: "the database cannot be opened: \(error)", source: Database.path(in: directory),
            fix: "make the folder writable for this user, or choose another with --data")
    }
}

/// Runs a task that ends by cancellation, as a service that ends by graceful shutdown.
private struct UntilShutdown: Service {
    private let body: @Sendable () async throws -> Void
    private let atShutdown: @Sendable () async -> Void

    init(
        _ body: @escaping @Sendable () async throws -> Void,
        atShutdown: @escaping @Sendable () async -> Void = {}
    ) {
        self.body = body
        self.atShutdown = atShutdown
    }

    func run() async throws {
        try await cancelWhenGracefulShutdown(body)
        await atShutdown()
    }
}

extension AccessPolicy {
    init(_ settings: MatrixConfiguration, localServer: ServerName) {
        let listed = settings.fullAccessHomeservers
        let fullAccess: FullAccess =
            listed == ["*"] ? .everyone : .servers(Set(listed.compactMap { ServerName($0) }))
        let membership: MembershipRequirement =
            switch settings.membershipPolicy {
            case .auto: .auto
            case .always: .always
            case .never: .never
            }
        let publishing: RemotePublishing =
            switch settings.remotePublishing {
            case .legacy: .compatibility
            case .always: .always
            case .never: .never
            }
        self.init(
            localServer: localServer, fullAccess: listed.isEmpty ? nil : fullAccess,
            membershipRequirement: membership, remotePublishing: publishing, thresholds: settings.levels)
    }
}
