// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// `turn status` and `turn rotate` in the admin room.
struct TURNBotCommands: Sendable {
    let administration: TURNAdministration

    var all: [BotCommand] {
        [
            BotCommand("turn status", summary: "list the TURN secrets by id and age, and test the servers") { call in
                await call.progress("Testing the TURN servers…")
                return .code("TURN", TURNText.status(await administration.status()))
            },
            BotCommand(
                "turn rotate", arguments: "[realm]",
                summary: "replace the TURN secret of a realm, or of every realm, without interrupting anybody"
            ) { await rotate($0) },
        ]
    }

    private func rotate(_ call: BotCommandCall) async -> BotReply {
        await call.progress("Adding a secret and testing it at every server…")
        do throws(SecretRotator.Failure) {
            let results = try await administration.rotate(realm: call.arguments.first, revokes: false)
            return .list("Rotated", results.map { "realm \($0.realm): secret \($0.id) is in use" })
        } catch {
            return .text("No secret was rotated: \(error.cause). \(error.fix)")
        }
    }
}
