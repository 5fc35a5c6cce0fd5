// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import ArgumentParser
import FocusSFU
import Foundation

/// `callbridge token`
struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Access tokens of the focus.", subcommands: [TokenCreateCommand.self])
}

/// `callbridge token create`
struct TokenCreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Sign a token that lets a participant into a room.",
        discussion: """
            The key is the first of the configuration unless --key names another. The token is printed; whoever has it \
            can join until it expires.

            Examples:
              callbridge token create --dev --room lobby --identity alice
              callbridge token create --config callbridge.yaml --room lobby --identity bob --valid-for 1h --no-can-publish
            """)

    @OptionGroup var options: ConfigurationOptions

    @Option(help: ArgumentHelp("Room.", valueName: "name"))
    var room: String

    @Option(help: ArgumentHelp("Identity of the participant, unique in the room.", valueName: "identity"))
    var identity: String

    @Option(help: ArgumentHelp("Name shown to others.", valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp("How long the token may be used to join: 30m, 24h, 7d.", valueName: "time"))
    var validFor = "24h"

    @Flag(inversion: .prefixedNo, help: "Publish tracks.")
    var canPublish = true

    @Flag(inversion: .prefixedNo, help: "Receive tracks.")
    var canSubscribe = true

    @Flag(inversion: .prefixedNo, help: "Send data messages; as --can-publish unless given.")
    var canPublishData: Bool?

    @Flag(help: "Change the own name, metadata and attributes.")
    var canUpdateOwnMetadata = false

    @Flag(help: "Join unseen.")
    var hidden = false

    @Flag(help: "Administer the room: remove and mute participants.")
    var admin = false

    @Flag(help: "Create and delete rooms.")
    var create = false

    @Option(help: ArgumentHelp("Metadata of the participant.", valueName: "text"))
    var metadata: String?

    @Option(help: ArgumentHelp("Name of the key that signs.", valueName: "name"))
    var key: String?

    func validate() throws {
        guard !room.isEmpty, !identity.isEmpty else { throw ValidationError("--room and --identity must not be empty") }
        guard let lifetime, lifetime >= .seconds(1) else {
            throw ValidationError("--valid-for must be a time such as 30m or 24h")
        }
    }

    func run() throws {
        let keys = try options.load().keys
        guard let pair = key.map({ name in keys.pairs.first { $0.name == name } }) ?? keys.pairs.first else {
            throw Termination(
                .configuration, cause: "there is no key of this name", source: "--key",
                fix: "--key with one of: " + keys.pairs.map(\.name).joined(separator: ", "))
        }
        print(
            try AccessToken.sign(
                claims(at: Int64(Date().timeIntervalSince1970)),
                with: APIKey(name: pair.name, secret: pair.secret.exposed)))
    }

    private var lifetime: Duration? { ConfigurationReader.duration(validFor, bareSeconds: true) }

    private func claims(at now: Int64) -> TokenClaims {
        var grant = VideoGrant()
        grant.roomJoin = true
        grant.room = room
        grant.canPublish = canPublish
        grant.canSubscribe = canSubscribe
        grant.canPublishData = canPublishData
        grant.canUpdateOwnMetadata = canUpdateOwnMetadata ? true : nil
        grant.hidden = hidden
        grant.roomAdmin = admin
        grant.roomCreate = create
        var claims = TokenClaims()
        claims.identity = identity
        claims.name = name ?? ""
        claims.metadata = metadata ?? ""
        claims.issuedAt = now
        claims.notBefore = now
        claims.expiry = now + (lifetime?.components.seconds ?? 0)
        claims.video = grant
        return claims
    }
}
