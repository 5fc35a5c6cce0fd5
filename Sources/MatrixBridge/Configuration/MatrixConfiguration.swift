// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// The homeserver, our place in it, and who may have tokens.
package struct MatrixConfiguration: Equatable, Sendable {
    /// When a token needs proof that the user is in the Matrix room.
    package enum MembershipPolicy: String, Sendable, CaseIterable {
        /// Enforced where it can be found out.
        case auto
        case always
        case never
    }

    /// Whether users of other homeservers publish through our focus.
    package enum RemotePublishing: String, Sendable, CaseIterable {
        /// In calls that put everybody on the oldest member's focus, as older clients need.
        case legacy
        case always
        case never
    }

    /// Where we reach the homeserver, without a slash at the end.
    package var homeserverURL: String
    /// The domain part of local user ids.
    package var serverName: String
    /// Where the homeserver reaches us.
    package var applicationServiceURL: String
    package var applicationServiceToken: Secret
    package var homeserverToken: Secret
    /// The id of the registration: `callbridge` unless the registration file says otherwise.
    package var registrationID: String
    /// The registration with delegated rights; nil when there is none.
    package var delegatedRegistration: Registration?
    package var botLocalpart: String
    /// Users whose commands the bot follows.
    package var administrators: [String]
    /// The longest that an echo stays in a call; zero for no echoes.
    package var echoLimit: Duration
    /// What clients are told: the base of the token service and of the signalling.
    package var livekitServiceURL: String
    package var websocketURL: String
    /// Below which every path is served a second time: `/livekit`; empty for none.
    package var pathPrefix: String
    /// Homeservers whose users make rooms; `*` for all.
    package var fullAccessHomeservers: [String]
    package var membershipPolicy: MembershipPolicy
    package var remotePublishing: RemotePublishing
    /// Which power level gives which right in a call.
    package var levels: GrantThresholds
    /// What is different in some rooms.
    package var rooms: [RoomRule]
    /// How much anybody may have at a time and ask for.
    package var limits: AccessLimits
    /// The calls that the bot answers itself.
    package var oneToOne: LegacyCallLimits
    /// Homeservers that may be looked up at private addresses.
    package var privateServers: [String]
    /// Whether a homeserver may show any TLS certificate.
    package var acceptsAnyTLSCertificate: Bool

    static let homeserverURLKey = ConfigurationKey(
        "matrix.homeserver_url", .url(["http", "https"]), example: "http://127.0.0.1:8008",
        "where Callbridge reaches the homeserver")
    static let serverNameKey = ConfigurationKey(
        "matrix.server_name", .text, example: "example.org", "domain part of local user ids")
    static let registrationKey = ConfigurationKey(
        "matrix.registration", .text, example: "/etc/callbridge/registration.yaml",
        "registration file, made by `callbridge generate-registration`")
    static let delegatedKey = ConfigurationKey(
        "matrix.delegated_registration", .text, example: "/etc/callbridge/delegated.yaml",
        "optional registration with delegated rights; a powerful credential")
    static let asTokenKey = ConfigurationKey(
        "matrix.as_token", .text, isSecret: true, "instead of a registration file: the token we show")
    static let hsTokenKey = ConfigurationKey(
        "matrix.hs_token", .text, isSecret: true, "instead of a registration file: the token the homeserver shows")
    static let applicationServiceURLKey = ConfigurationKey(
        "matrix.appservice_url", .url(["http", "https"]), example: "http://127.0.0.1:7880",
        "where the homeserver reaches Callbridge; empty: the registration's url")
    static let botKey = ConfigurationKey(
        "matrix.bot_localpart", .text, default: "callbot", "localpart of the bot's user id")
    static let administratorsKey = ConfigurationKey(
        "matrix.admins", .texts, example: "[\"@alice:example.org\"]",
        "users whose invitations and commands the bot follows")
    static let echoLimitKey = ConfigurationKey(
        "matrix.echo_limit", .seconds, default: "600",
        "the longest that the bot's echo stays in a call, seconds; 0: no echoes")
    static let serviceURLKey = ConfigurationKey(
        "matrix.livekit_service_url", .url(["https", "http"]), example: "https://call.example.org",
        "public URL of the token service, as clients reach it")
    static let websocketURLKey = ConfigurationKey(
        "matrix.websocket_url", .url(["wss", "ws"]), example: "wss://call.example.org",
        "public URL of the signalling; empty: livekit_service_url with wss")
    static let pathPrefixKey = ConfigurationKey(
        "matrix.path_prefix", .text, example: "/livekit", "every path is also served below this one")
    static let fullAccessKey = ConfigurationKey(
        "matrix.full_access_homeservers", .texts, example: "[example.org]",
        "homeservers whose users make rooms; empty: server_name alone; \"*\": all")
    static let membershipKey = ConfigurationKey(
        "matrix.require_membership", .choice(MembershipPolicy.allCases.map(\.rawValue)), default: "auto",
        "tokens for room members only: auto (where it can be found out), always, never")
    static let remotePublishingKey = ConfigurationKey(
        "matrix.remote_publishing", .choice(RemotePublishing.allCases.map(\.rawValue)), default: "legacy",
        "users of other homeservers publish here: legacy (calls on one focus), always, never")
    static let privateServersKey = ConfigurationKey(
        "matrix.private_servers", .texts, example: "[matrix.lan]", "homeservers that may be at private addresses")
    static let anyCertificateKey = ConfigurationKey(
        "matrix.insecure_accept_any_tls_certificate", .boolean, default: "false",
        "accept any certificate from homeservers: whoever is in between can read and change everything")

    static let keys =
        [
            homeserverURLKey, serverNameKey, registrationKey, delegatedKey, asTokenKey, hsTokenKey,
            applicationServiceURLKey, botKey, administratorsKey, echoLimitKey, serviceURLKey, websocketURLKey,
            pathPrefixKey, fullAccessKey, membershipKey, remotePublishingKey, privateServersKey, anyCertificateKey,
        ] + LevelConfiguration.keys + [RoomRuleConfiguration.key] + AccessLimitConfiguration.keys
        + OneToOneConfiguration.keys

    /// Nil when no key of the section is set, or with `--dev`: then there is a focus and no bridge.
    init?(reading values: inout ConfigurationReader) {
        let homeserverURL = values.url(Self.homeserverURLKey)
        let serverName = Self.serverName(&values)
        let files = RegistrationFiles(reading: &values)
        let applicationServiceURL = values.url(Self.applicationServiceURLKey)
        self.botLocalpart = Self.botLocalpart(&values)
        self.administrators = Self.administrators(&values)
        self.echoLimit = values.duration(Self.echoLimitKey)
        let serviceURL = values.url(Self.serviceURLKey)
        let websocketURL = values.url(Self.websocketURLKey)
        self.pathPrefix = Self.pathPrefix(&values)
        let fullAccess = values.texts(Self.fullAccessKey)
        self.membershipPolicy = MembershipPolicy(rawValue: values.choice(Self.membershipKey)) ?? .auto
        self.remotePublishing = RemotePublishing(rawValue: values.choice(Self.remotePublishingKey)) ?? .legacy
        let levels = LevelConfiguration.thresholds(&values)
        self.levels = levels
        self.rooms = RoomRuleConfiguration.rules(&values, thresholds: levels)
        self.limits = AccessLimitConfiguration.limits(&values)
        self.oneToOne = OneToOneConfiguration.limits(&values)
        self.privateServers = values.texts(Self.privateServersKey)
        self.acceptsAnyTLSCertificate = values.boolean(Self.anyCertificateKey)
        guard let set = Self.keys.first(where: { values.isSet($0) }) else {
            if !values.isDevelopment, !values.isIncomplete {
                values.report(
                    ConfigurationFinding(
                        .note, at: .allSources,
                        "no key of the section matrix is set: this is a focus without a homeserver"))
            }
            return nil
        }
        if values.isDevelopment {
            values.report(
                ConfigurationFinding(.note, at: values.origin(of: set), "the section matrix has no effect with --dev"))
            return nil
        }
        let required: [(key: ConfigurationKey, isThere: Bool)] = [
            (Self.homeserverURLKey, homeserverURL != nil), (Self.serverNameKey, serverName != nil),
            (Self.serviceURLKey, serviceURL != nil),
        ]
        for (key, isThere) in required where !isThere && !values.isSet(key) {
            values.reportMissing(
                "\(key.path) is missing (\(key.comment))",
                correction: ConfigurationValues.nestedLine(key.path, value: key.correctValue))
        }
        let websocket = websocketURL ?? serviceURL.map(Self.websocketURL(for:))
        if websocketURL == nil, let websocket {
            values.record(
                Self.websocketURLKey, FlowText.scalar(websocket), origin: values.origin(of: Self.serviceURLKey))
        }
        if acceptsAnyTLSCertificate {
            values.report(
                ConfigurationFinding(
                    .warning, at: values.origin(of: Self.anyCertificateKey),
                    "any TLS certificate is accepted from homeservers; tokens can be forged by whoever is in between",
                    correction: ConfigurationValues.nestedLine(Self.anyCertificateKey.path, value: "false")))
        }
        let ours = files.registration
        guard let homeserverURL, let serverName, let serviceURL, let websocket,
            let asToken = files.applicationServiceToken, let hsToken = files.homeserverToken
        else { return nil }
        let reachable = applicationServiceURL ?? ours?.url
        if reachable == nil {
            values.reportMissing(
                "matrix.appservice_url is missing and no registration names a url",
                correction: ConfigurationValues.nestedLine(
                    Self.applicationServiceURLKey.path, value: Self.applicationServiceURLKey.correctValue))
        }
        self.homeserverURL = homeserverURL
        self.serverName = serverName
        self.applicationServiceURL = reachable ?? ""
        self.applicationServiceToken = asToken
        self.homeserverToken = hsToken
        self.registrationID = ours?.id ?? Registration.pushedID
        self.delegatedRegistration = files.delegated
        self.livekitServiceURL = serviceURL
        self.websocketURL = websocket
        self.fullAccessHomeservers = fullAccess.isEmpty ? [serverName] : fullAccess
    }

    static func websocketURL(for url: String) -> String {
        url.lowercased().hasPrefix("https") ? "wss" + url.dropFirst(5) : "ws" + url.dropFirst(4)
    }

    private static func serverName(_ values: inout ConfigurationReader) -> String? {
        guard let name = values.text(serverNameKey) else { return nil }
        guard Registration.isServerName(name) else {
            let bare = name.drop(while: \.isWhitespace).split(separator: "/").last.map(String.init) ?? ""
            values.fail(
                serverNameKey, "matrix.server_name must be a domain, such as the part of a user id after the colon",
                correction: Registration.isServerName(bare) ? bare : nil)
            return nil
        }
        return name
    }

    private static func botLocalpart(_ values: inout ConfigurationReader) -> String {
        let name = values.text(botKey) ?? botKey.defaultText
        guard Registration.isLocalpart(name) else {
            values.fail(botKey, "matrix.bot_localpart may hold a-z, 0-9 and . _ = - / + only")
            return botKey.defaultText
        }
        return name
    }

    private static func administrators(_ values: inout ConfigurationReader) -> [String] {
        let names = values.texts(administratorsKey)
        for name in names where UserID(name) == nil {
            values.fail(administratorsKey, "matrix.admins: \"\(name.prefix(60))\" is no user id")
        }
        return names
    }

    private static func pathPrefix(_ values: inout ConfigurationReader) -> String {
        guard var prefix = values.text(pathPrefixKey), prefix != "/" else { return "" }
        while prefix.last == "/" { prefix.removeLast() }
        let isPath = prefix.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/-_.~".contains($0)) }
        guard prefix.first == "/", isPath, !prefix.contains("//"), !prefix.contains("..") else {
            values.fail(pathPrefixKey, "matrix.path_prefix must be a path that begins with a slash")
            return ""
        }
        values.record(pathPrefixKey, FlowText.scalar(prefix))
        return prefix
    }
}

/// The registration files the section names, and the tokens taken from them or given instead.
private struct RegistrationFiles {
    var registration: Registration?
    var delegated: Registration?
    var applicationServiceToken: Secret?
    var homeserverToken: Secret?

    init(reading values: inout ConfigurationReader) {
        typealias Keys = MatrixConfiguration
        self.registration = Self.read(Keys.registrationKey, &values)
        self.delegated = Self.read(Keys.delegatedKey, &values)
        let asToken = values.secret(Keys.asTokenKey)
        let hsToken = values.secret(Keys.hsTokenKey)
        for (key, token, ours) in [
            (Keys.asTokenKey, asToken, registration?.asToken), (Keys.hsTokenKey, hsToken, registration?.hsToken),
        ] {
            guard let token, let ours, token != ours else { continue }
            values.fail(
                key, "\(key.path) \(token) differs from the registration file's \(ours)",
                correction: "…  # or remove the key", status: .registration)
        }
        self.applicationServiceToken = asToken ?? registration?.asToken
        self.homeserverToken = hsToken ?? registration?.hsToken
        let isUsed = Keys.keys.contains { values.isSet($0) } && !values.isDevelopment
        guard isUsed, !values.isSet(Keys.registrationKey) else { return }
        for (key, token) in [(Keys.asTokenKey, asToken), (Keys.hsTokenKey, hsToken)] where token == nil {
            let other = key.path == Keys.asTokenKey.path ? hsToken : asToken
            guard other != nil || key.path == Keys.asTokenKey.path else { continue }
            let isAlone = other == nil
            values.reportMissing(
                isAlone ? "matrix.registration is missing" : "\(key.path) is missing",
                correction: isAlone
                    ? ConfigurationValues.nestedLine(
                        Keys.registrationKey.path, value: "registration.yaml  # callbridge generate-registration")
                    : ConfigurationValues.nestedLine(key.path, value: "…"),
                status: .registration)
        }
    }

    private static func read(_ key: ConfigurationKey, _ values: inout ConfigurationReader) -> Registration? {
        guard let path = values.text(key) else { return nil }
        do {
            let file = try ConfigurationFile.read(path)
            if file.mode & 0o007 != 0 {
                values.report(
                    ConfigurationFinding(
                        .warning, at: .text(name: path, at: .start),
                        "the registration is open to every user of the machine (mode \(String(file.mode & 0o777, radix: 8)))",
                        correction: "chmod 640 \(path)  # and chgrp it to the homeserver's group"))
            }
            let registration = try Registration(reading: file.text)
            for (name, token) in [("as_token", registration.asToken), ("hs_token", registration.hsToken)]
            where APIKeyWeakness(of: token, isDevelopment: false) == .placeholder {
                values.report(
                    ConfigurationFinding(
                        .fault, at: .text(name: path, at: .start), "\(name) is a placeholder that was never replaced",
                        correction: "callbridge generate-registration --output \(path) --force",
                        status: .registration))
            }
            return registration
        } catch let fault as ConfigurationFile.Fault {
            values.fail(
                key, "\(key.path) \(path): \(fault.problem)", correction: "\(path)  # callbridge generate-registration",
                status: .registration)
        } catch let fault as Registration.Fault {
            values.report(
                ConfigurationFinding(
                    .fault, at: .text(name: path, at: fault.place), fault.problem, correction: fault.correction,
                    status: .registration))
        } catch {
            values.fail(key, "\(key.path) \(path) cannot be read", status: .registration)
        }
        return nil
    }
}
