// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
import OlmE2EE

/// Looks at a homeserver as Callbridge and its clients do, and names what is wrong with its fix.
///
/// Each layer rests on the one before: when nothing answers, or the token is unknown, the rest is not asked.
package struct HomeserverDoctor: Sendable {
    private let settings: MatrixConfiguration
    private let server: ServerName
    private let bot: UserID
    private let transport: any HTTPTransport
    private let client: MatrixClient
    private let delegate: MatrixClient?
    private let unixSeconds: @Sendable () -> Int64

    package init(
        settings: MatrixConfiguration, server: ServerName, bot: UserID, transport: any HTTPTransport,
        unixSeconds: @escaping @Sendable () -> Int64,
    ) {
        self.settings = settings
        self.server = server
        self.bot = bot
        self.transport = transport
        self.unixSeconds = unixSeconds
        self.client = MatrixClient(
            transport: transport, baseURL: settings.homeserverURL, asToken: settings.applicationServiceToken.exposed)
        self.delegate = settings.delegatedRegistration.map { registration in
            MatrixClient(transport: transport, baseURL: settings.homeserverURL, asToken: registration.asToken.exposed)
        }
    }

    /// - Parameter room: A room to look at as well, as somebody typed it.
    package func run(room: String? = nil) async -> [DiscoveryCheck.Finding] {
        let base = settings.homeserverURL
        let answer = await get(base + "/_matrix/client/versions")
        let verdict = HomeserverVerdicts.versions(answer, url: base)
        var findings = verdict.findings
        guard let features = verdict.features else { return findings }
        findings.append(HomeserverVerdicts.clock(try? answer.get().header("Date"), ours: unixSeconds()))
        findings += HomeserverVerdicts.features(features)
        findings.append(
            HomeserverVerdicts.openID(
                await get(base + "/_matrix/federation/v1/openid/userinfo?access_token=callbridge-doctor"), url: base))
        findings.append(await crossOrigin())
        let token = HomeserverVerdicts.token(
            await failure { () async throws(MatrixClientError) in _ = try await client.whoami() },
            registration: settings.registrationID, key: "matrix.registration")
        findings.append(token)
        guard token.severity == .ok else { return findings }
        findings.append(await ping())
        findings.append(await encryptedDevice())
        findings += await discovery()
        findings += await delegation()
        if let room { findings += await look(at: room) }
        return findings
    }

    private func get(_ url: String) async -> HomeserverVerdicts.Answer {
        do throws(HTTPClientError) {
            return .success(try await transport.send(HTTPClientRequest(.get, url)))
        } catch {
            return .failure(error)
        }
    }

    private func failure(
        _ body: () async throws(MatrixClientError) -> Void
    ) async -> MatrixClientError? {
        do throws(MatrixClientError) {
            try await body()
            return nil
        } catch {
            return error
        }
    }

    private func crossOrigin() async -> DoctorFinding {
        let url = settings.livekitServiceURL
        var request = HTTPClientRequest(.post, url + "/sfu/get")
        request.headers = [
            HTTPClientField("Origin", "https://call.invalid"), HTTPClientField("Content-Type", "application/json"),
        ]
        request.body = Array("{}".utf8)
        do throws(HTTPClientError) {
            return HomeserverVerdicts.crossOrigin(.success(try await transport.send(request)), url: url)
        } catch {
            return HomeserverVerdicts.crossOrigin(.failure(error), url: url)
        }
    }

    private func ping() async -> DoctorFinding {
        do throws(MatrixClientError) {
            let milliseconds = try await client.ping(appServiceID: settings.registrationID, transactionID: "doctor")
            return HomeserverVerdicts.ping(.success(milliseconds), url: settings.applicationServiceURL)
        } catch {
            return HomeserverVerdicts.ping(.failure(error), url: settings.applicationServiceURL)
        }
    }

    private func encryptedDevice() async -> DoctorFinding {
        do throws(MatrixClientError) {
            let answer = try await client.keys(["query"], OlmDevice.queryBody(for: [bot]), as: .init(userID: bot))
            return HomeserverVerdicts.encryptedDevice(.success(DeviceKeys.devices(of: bot, in: answer)), of: bot)
        } catch {
            return HomeserverVerdicts.encryptedDevice(.failure(error), of: bot)
        }
    }

    private func discovery() async -> [DoctorFinding] {
        let check = DiscoveryCheck(
            client: client, transport: transport, server: server, bot: bot,
            setup: DiscoverySetup(serviceURL: settings.livekitServiceURL, focusURL: settings.websocketURL))
        return await check.run()
    }

    private func delegation() async -> [DoctorFinding] {
        guard let delegate, let id = settings.delegatedRegistration?.id else {
            return [
                .warn(
                    "there is no second registration: members of rooms without the bot cannot be told from others, and "
                        + "memberships of clients that died stay until they expire",
                    "make one with `callbridge generate-registration --delegated FILE`, name it in "
                        + "matrix.delegated_registration and in homeserver.yaml")
            ]
        }
        let token = HomeserverVerdicts.token(
            await failure { () async throws(MatrixClientError) in _ = try await delegate.whoami() }, registration: id,
            key: "matrix.delegated_registration")
        guard token.severity == .ok, let room = RoomID("!callbridge-doctor:\(server)") else { return [token] }
        let question = await failure { () async throws(MatrixClientError) in
            _ = try await delegate.isJoined(bot, in: room)
        }
        return [token, HomeserverVerdicts.delegation(question)]
    }

    // MARK: A room

    private func look(at text: String) async -> [DoctorFinding] {
        if let mistake = RoomVerdicts.identifier(text) { return [mistake] }
        guard let room = RoomID(text) else {
            return [.fail("\(text) is no room id", "copy it from the room's settings; it begins with !")]
        }
        let values: [JSONValue]
        do throws(MatrixClientError) {
            values = try await client.state(of: room, as: .init(userID: bot))
        } catch .refused(let refusal) where refusal.status == 403 {
            return [RoomVerdicts.bot(bot, isJoined: false)]
        } catch {
            return [.fail("the state of \(room) cannot be read: \(error)", "look at the homeserver's log")]
        }
        let state = RoomState(values, of: room)
        var roster = CallRoster()
        for event in state.events { _ = roster.apply(event, at: unixSeconds() * 1_000) }
        let members = roster.members(in: room)
        var findings = [RoomVerdicts.bot(bot, isJoined: state.facts.joined.contains(bot))]
        if let closed = RoomVerdicts.closed(state.facts.tombstone) { findings.append(closed) }
        findings.append(RoomVerdicts.level(state.facts))
        // The bot's echo is in calls with a device that needs no keys, so the homeserver knows none.
        let users = Set(members.map(\.membership.sender)).subtracting([bot])
        let stale = RoomVerdicts.devices(members, devices: await devices(of: users))
        guard stale.isEmpty else { return findings + stale }
        return findings + [.ok("\(members.count) devices are in the call, none of them stale")]
    }

    /// Only of users of our homeserver, and only with the second registration.
    private func devices(of users: Set<UserID>) async -> [UserID: Set<DeviceID>] {
        guard let delegate else { return [:] }
        var devices: [UserID: Set<DeviceID>] = [:]
        for user in users where user.serverName == server {
            devices[user] = try? await delegate.devices(of: user)
        }
        return devices
    }
}
