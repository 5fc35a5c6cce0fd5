// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import Foundation
import Logging
import OlmE2EE
import ServiceLifecycle

/// The Matrix side of the process: the link to the homeserver, the transaction inbox, the call roster and the token
/// exchange, wired together.
struct MatrixServices {
    let inbox: TransactionInbox
    let coordinator: CallCoordinator
    let enforcement: CallEnforcement
    /// Takes commands; other parts of the service may offer theirs.
    let desk: BotDesk
    /// The bot's encrypted device. Other parts of the service send and take to-device messages with it.
    let encryption: BotEncryption
    let legacyCalls: LegacyCallKeeper
    let keeper: DelayedLeaveKeeper
    let legs: LegKeeper
    let mediaKeys: MediaKeyDesk
    /// Nil without the second registration.
    let ghosts: GhostClearing?
    let exchange: TokenExchange
    let link: HomeserverLink
    let attendance: RoomAttendance
    private let discoveryReport: DiscoveryReport
    /// Nil when nobody need be a member.
    private let sweep: MembershipSweep?
    private let appService: AppServiceRoutes
    private let proxied: ProxiedTokenRoutes?

    /// - Parameters:
    ///   - maximumParticipants: Of each room without a rule; 0 for no limit.
    ///   - ownURL: Our own HTTP port, over loopback.
    /// - Throws: ``Termination`` when the database cannot be opened or a name is no Matrix name.
    init(
        _ settings: MatrixConfiguration, maximumParticipants: Int, keys: APIKeySet, dataDirectory: String,
        ownURL: SignalURL, focus: FocusServer, log: Logger, logLevels: LogLevels
    ) async throws {
        guard let server = ServerName(settings.serverName),
            let bot = UserID("@\(settings.botLocalpart):\(settings.serverName)"),
            let echoDevice = DeviceID(Self.echoDevice)
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
        // Strangers name the servers that these requests go to; what they do must not reach our own homeserver's.
        let federation = HTTPTransportLimit(
            HTTPClient(configuration: http), requestsPerHost: 8, timeoutMilliseconds: 5_000)
        let client = MatrixClient(
            transport: transport, baseURL: settings.homeserverURL, asToken: settings.applicationServiceToken.exposed)
        let delegate = settings.delegatedRegistration.map { registration in
            MatrixClient(
                transport: transport, baseURL: settings.homeserverURL, asToken: registration.asToken.exposed)
        }
        if delegate == nil {
            log.notice(
                "There is no second registration: rooms without the bot cannot be looked into, nor ghosts cleared")
        }
        let revocations = RevocationKeeper(database: database, clock: clock, logger: log)
        let control = FocusControl(directory: focus.directory, revocations: revocations)
        let issued = IssuedIdentities()
        let privateServers = Set(settings.privateServers.compactMap { ServerName($0) })
        let discovery = ServerDiscovery(
            transport: federation, resolver: SystemSRVResolver(), serversOnPrivateAddresses: privateServers,
            now: clock.monotonic)

        var policy = AccessPolicy(settings, localServer: server)
        policy.limits.participantsPerRoom = maximumParticipants
        let facts = RoomFactsBook()
        let aliases = RoomAliasBook(rules: policy.rules, client: client, clock: clock)
        enforcement = CallEnforcement(
            policy: policy, focus: control, issued: issued, facts: facts, aliases: aliases, logger: log)
        let errands = WakeUps()
        let administrators = Set(settings.administrators.compactMap { UserID($0) })
        let encryption = BotEncryption(
            database: database, bot: bot, key: try Self.loadEncryptionKey(in: dataDirectory), client: client,
            facts: facts, marker: GenerationMarker(dataDirectory: dataDirectory), clock: clock, logger: log)
        self.encryption = encryption
        let desk = BotDesk(
            administrators: administrators, bot: bot, client: client, facts: facts, encryption: encryption,
            clock: clock, logger: log)
        self.desk = desk
        let attempts = AttemptLog()
        let legacyCalls = LegacyCallKeeper(
            limits: settings.oneToOne, admission: LegacyCallAdmission(policy: policy, aliases: aliases),
            media: focus.mirrors, database: database, client: client, encryption: encryption, bot: bot, facts: facts,
            attempts: attempts, clock: clock, logger: log)
        self.legacyCalls = legacyCalls
        coordinator = CallCoordinator(
            database: database, enforcement: enforcement, facts: facts, desk: desk, encryption: encryption,
            legacyCalls: legacyCalls,
            membershipPolicy: BotMembershipPolicy(bot: bot, access: policy, administrators: administrators),
            errands: errands, clock: clock, logger: log)
        let attendance = RoomAttendance(
            client: client, database: database, coordinator: coordinator, bot: bot, wakeUps: errands, clock: clock,
            logger: log)
        self.attendance = attendance
        inbox = TransactionInbox(
            database: database, consumer: coordinator, onLoss: { await attendance.readAllAgain() }, clock: clock,
            logger: log)
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
                encryption.wakeUps.wake()
                discoveryReport.wakeUps.wake()
            })
        let delayedEvents = DelayedEvents(
            transport: transport, federation: federation,
            locator: ClientAPILocator(
                transport: federation, serversOnPrivateAddresses: privateServers, now: clock.monotonic),
            localServer: server, localBaseURL: settings.homeserverURL, delegate: delegate)
        let keeper = DelayedLeaveKeeper(
            database: database, focus: control, events: delayedEvents, clock: clock, logger: log)
        self.keeper = keeper
        let coordinator = coordinator
        ghosts = delegate.map { delegate in
            GhostClearing(
                coordinator: coordinator, focus: control, keeper: keeper, delegate: delegate, localServer: server,
                clock: clock, logger: log)
        }
        mediaKeys = MediaKeyDesk(
            messaging: encryption, facts: facts, device: { await encryption.address }, clock: clock, logger: log)
        legs = Self.makeLegs(
            settings, bot: bot, clearDevice: echoDevice,
            LegKeeper.Dependencies(
                database: database, coordinator: coordinator, focus: control,
                homeserver: LegRequests(client: client),
                entrance: EchoEntrance(
                    focus: control, minter: JoinTokenMinter(key: key), issued: issued, policy: policy, aliases: aliases,
                    url: ownURL, clock: clock),
                keys: mediaKeys, facts: facts, aliases: aliases, policy: policy, clock: clock, logger: log))
        let membership = MembershipCheck(client: client, bot: bot, delegate: delegate, book: facts)
        sweep =
            policy.membershipRequirement == .never
            ? nil
            : MembershipSweep(
                membership: membership, issued: issued, focus: control, enforcement: enforcement, clock: clock)
        exchange = TokenExchange(
            policy: policy, focusURL: settings.websocketURL,
            dependencies: .init(
                verifier: OpenIDVerifier(
                    // Anybody may ask for such a check: it takes half of the connections at most.
                    transport: HTTPTransportLimit(transport, requestsPerHost: 32, timeoutMilliseconds: 10_000),
                    federation: federation, discovery: discovery, localServer: server,
                    localBaseURL: settings.homeserverURL),
                membership: membership, focus: control,
                minter: JoinTokenMinter(key: key), issued: issued, attempts: attempts,
                delegation: DelayedLeaveDelegation(keeper: keeper, events: delayedEvents), aliases: aliases,
                clock: clock))
        let exchange = exchange
        proxied = settings.delegatedRegistration.flatMap { registration in
            delegate.map { delegate in
                ProxiedTokenRoutes(
                    exchange: exchange, token: registration.hsToken.exposed, localServer: server,
                    focusURL: settings.websocketURL, delegate: delegate)
            }
        }
        appService = AppServiceRoutes(
            token: HomeserverToken(settings.homeserverToken.exposed), inbox: inbox, ownUsers: [bot.rawValue])
        let calls = CallCommands(
            coordinator: coordinator, focus: control, issued: issued, enforcement: enforcement, attempts: attempts,
            legs: legs, legacyCalls: legacyCalls, clock: clock)
        let (link, inbox, legs) = (link, inbox, legs)
        let echoes = LegCommands(keeper: legs, clock: clock)
        let service = ServiceCommands(
            client: client, appServiceID: settings.registrationID, clock: clock, policy: policy, logLevels: logLevels,
            status: {
                await Self.status(
                    link: link, inbox: inbox, coordinator: coordinator, keeper: keeper, legacyCalls: legacyCalls,
                    focus: focus)
                    + [encryption.summary] + echoes.lines()
            })
        await desk.offer(service.all + calls.all + echoes.all)
        do {
            do {
                try await encryption.restore()
            } catch let fault as OlmFault {
                throw Self.encryptionKeyTermination(fault, in: dataDirectory)
            }
            await encryption.attach(
                onReadable: { events in
                    do {
                        try await coordinator.consume(readable: events)
                    } catch {
                        log.error(
                            "Events whose key came later could not be stored", metadata: ["error.code": "\(error)"])
                    }
                },
                onUnreadable: { desk.couldNotRead($0) })
            try await coordinator.restore()
            try await keeper.restore()
            try await legs.restore()
            try await legacyCalls.restore()
            try await revocations.restore { participant, seconds in
                focus.directory.restoreRevocation(of: participant.identity, inRoom: participant.room, at: seconds)
            }
        } catch let termination as Termination {
            throw termination
        } catch {
            throw Self.databaseTermination(error, in: dataDirectory)
        }
    }

    /// The device that the bot is in calls without encryption with; nothing is encrypted for it, so it needs no keys.
    private static let echoDevice = "ECHO"

    private static func makeLegs(
        _ settings: MatrixConfiguration, bot: UserID, clearDevice: DeviceID, _ dependencies: LegKeeper.Dependencies
    ) -> LegKeeper {
        LegKeeper(
            dependencies, user: bot, clearDevice: clearDevice, serviceURL: settings.livekitServiceURL,
            limitMilliseconds: settings.echoLimit.components.seconds * 1_000)
    }

    /// Whether all is well, and what runs, in sentences.
    private static func status(
        link: HomeserverLink, inbox: TransactionInbox, coordinator: CallCoordinator, keeper: DelayedLeaveKeeper,
        legacyCalls: LegacyCallKeeper, focus: FocusServer
    ) async -> [String] {
        let problems = await Readiness.current(link: link, inbox: inbox).problems
        var lines = [problems.isEmpty ? "All is well." : "Not all is well:"] + problems
        if case .ready(let milliseconds) = await link.state {
            lines.append("the homeserver answers a ping in \(milliseconds) ms")
        }
        let figures = await focus.directory.figures()
        lines.append("\(await coordinator.calls.count) calls in the rooms that the bot is in")
        lines.append(
            "\(figures.rooms) rooms of the focus, \(figures.participants) participants, \(figures.tracks) tracks")
        lines.append("\(await legacyCalls.entries.count) one-to-one calls with me")
        lines.append("\(await keeper.count) delayed leaves held for clients")
        return lines
    }

    func registerRoutes(on router: inout HTTPRouter, prefixes: [String]) {
        let (link, inbox) = (link, inbox)
        MatrixRoutes(
            appService: appService, tokens: TokenRoutes(exchange: exchange), proxied: proxied,
            readiness: { await Readiness.current(link: link, inbox: inbox) }
        ).register(on: &router, prefixes: prefixes)
    }

    /// In the order of their start.
    var services: [any Service] {
        let (inbox, coordinator, link, exchange) = (inbox, coordinator, link, exchange)
        let (attendance, discoveryReport, keeper, desk) = (attendance, discoveryReport, keeper, desk)
        let (encryption, legacyCalls) = (encryption, legacyCalls)
        var services: [any Service] = [
            UntilShutdown({ await inbox.run() }),
            UntilShutdown({ await coordinator.run() }),
            UntilShutdown({ await attendance.run() }),
            UntilShutdown({ await discoveryReport.run() }),
            UntilShutdown({ await keeper.run() }),
            UntilShutdown({ await desk.run() }),
            UntilShutdown({ await encryption.run() }),
            UntilShutdown({ await legacyCalls.run() }, atShutdown: { await legacyCalls.shutDown() }),
        ]
        let (legs, mediaKeys) = (legs, mediaKeys)
        services.append(UntilShutdown({ await mediaKeys.run() }))
        services.append(UntilShutdown({ await legs.run() }, atShutdown: { await legs.shutDown() }))
        if let ghosts { services.append(UntilShutdown({ await ghosts.run() })) }
        if let sweep { services.append(UntilShutdown({ await sweep.run() })) }
        services += [
            UntilShutdown({ try await link.run() }),
            UntilShutdown(Self.nothing, atShutdown: { await exchange.shutDown() }),
        ]
        return services
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

    private static func loadEncryptionKey(in directory: String) throws -> PickleKey {
        let path = EncryptionKeyFile.path(in: directory)
        do {
            return try EncryptionKeyFile.load(path)
        } catch {
            throw Termination(
                .database, cause: "the key of the bot's encrypted device cannot be read: \(error)", source: path,
                fix: "restore the file from a backup, readable and writable by this user alone")
        }
    }

    private static func encryptionKeyTermination(_ fault: OlmFault, in directory: String) -> Termination {
        Termination(
            .database,
            cause: "the keys of the bot's encrypted device in the database do not open with its key file: "
                + "\(fault.code)", source: EncryptionKeyFile.path(in: directory),
            fix: "put back the file that belongs to this database; if it is lost, remove the device with `sqlite3 "
                + "\(Database.path(in: directory)) \"DELETE FROM olm_records\"`: the bot then gets a new one")
    }

    private static func databaseTermination(_ error: any Error, in directory: String) -> Termination {
        Termination(
            .database, cause: "the database cannot be opened: \(error)", source: Database.path(in: directory),
            fix: "make the folder writable for this user, or choose another with --data")
    }
}

/// Runs a task that ends by cancellation, as a service that ends by graceful shutdown.
struct UntilShutdown: Service {
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
            membershipRequirement: membership, remotePublishing: publishing, thresholds: settings.levels,
            limits: settings.limits, rules: settings.rooms)
    }
}
