// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Testing

@testable import MatrixBridge

@Suite("Bot: what a text asks for, and who may")
struct BotCommandTableTests {
    static let alice = Identifier.user("@alice:example.com")

    static let table = BotCommandTable(
        ["help", "turn status", "turn rotate", "status"].map { name in
            BotCommand(name, summary: "s") { _ in .text(name) }
        } + [
            BotCommand(
                "mute", arguments: "<user> [room]", summary: "s", permission: .level(.kick), minimumArguments: 1,
                roomArgument: 1
            ) { _ in .text("mute") },
            BotCommand("call", arguments: "[room]", summary: "s", permission: .level(.kick), roomArgument: 0) { _ in
                .text("call")
            },
        ])

    static func words(_ reading: BotCommandTable.Reading) -> String {
        switch reading {
        case .nothing: "-"
        case .command(let command, let arguments, let room):
            ([command.name] + arguments + (room.map { ["in " + $0.description] } ?? [])).joined(separator: " ")
        case .problem(let reply): "? " + reply.plain
        }
    }

    @Test(
        "texts",
        arguments: [
            ("status", true, "status"), ("STATUS", true, "status"), ("  status  now ", true, "status now"),
            ("status", false, "-"), ("!call status", false, "status"), ("!call status", true, "status"),
            ("!call", false, "help"), ("!callx status", false, "-"), ("", true, "help"),
            ("turn status", true, "turn status"), ("turn rotate now", true, "turn rotate now"),
            ("call !r", true, "call in !r"), ("call", true, "call"),
            ("call #r:x", true, "call in #r:x"), ("mute @a:x !r", true, "mute @a:x in !r"),
            ("mute @a:x #r:x:80", true, "mute @a:x in #r:x:80"), ("mute @a:x", true, "mute @a:x"),
        ] as [(String, Bool, String)])
    func reading(text: String, isPrivate: Bool, expected: String) {
        #expect(Self.words(Self.table.read(text, isPrivate: isPrivate)) == expected)
    }

    @Test(
        "what is not understood is explained",
        arguments: [
            ("statsu", "did you mean `status`"), ("zzzzzz", "`help` lists all"), ("mute", "mute <user> [room]"),
            ("call here", "is no room;"), ("call #r", "is no room;"), ("call @a:x", "is no room;"),
            ("turn", "There is no command"),
        ])
    func problems(text: String, hint: String) {
        let words = Self.words(Self.table.read(text, isPrivate: true))
        #expect(words.hasPrefix("? ") && words.contains(hint), "\(words)")
    }

    @Test("a refused command says what it needs")
    func refusals() throws {
        var authority = RoomAuthority()
        authority.powerLevels = RoomPowerLevels(["users": .object([Self.alice.rawValue: .integer(49)])])
        func refusal(_ permission: BotCommand.Permission, admin: Bool = false, sees: Bool = true) -> String? {
            let command = BotCommand("kick", summary: "", permission: permission) { _ in .text("") }
            return BotCommandTable.refusal(
                of: command, by: Self.alice, isAdministrator: admin, authority: sees ? authority : nil)?.plain
        }
        #expect(refusal(.everybody) == nil)
        #expect(refusal(.administrator)?.contains("matrix.admins") == true)
        #expect(refusal(.administrator, admin: true) == nil)
        #expect(refusal(.level(.kick)) == "`kick` needs power level 50 in that room; you have 49.")
        #expect(refusal(.level(.kick), admin: true) == nil)
        #expect(refusal(.level(.kick), sees: false)?.contains("invite me there") == true)
        authority.powerLevels = RoomPowerLevels(["users": .object([Self.alice.rawValue: .integer(50)])])
        #expect(refusal(.level(.kick)) == nil)
    }

    @Test("a command of another part takes its place, by name")
    func registration() {
        var table = Self.table
        let count = table.commands.count
        table.add([BotCommand("status", summary: "another") { _ in .text("") }])
        #expect(table.commands.count == count)
        #expect(table.commands.first { $0.name == "status" }?.summary == "another")
    }

    @Test("replies escape what others wrote, answer, replace, and are bounded")
    func replies() throws {
        let reply = BotReply.list("<b>", ["\"a\" & b", "<script>"])
        #expect(reply.plain == "<b>\n- \"a\" & b\n- <script>")
        #expect(reply.html == "&lt;b&gt;<ul><li>&quot;a&quot; &amp; b</li><li>&lt;script&gt;</li></ul>")
        let question = try #require(EventID("$q"))
        let shown = try #require(EventID("$s"))
        let content = reply.content(answering: question)
        #expect(content["m.relates_to"]?["m.in_reply_to"]?["event_id"] == .string("$q"))
        #expect(content["msgtype"] == .string("m.notice"))
        let edit = BotReply.text("done").content(answering: question, replacing: shown)
        #expect(edit["m.relates_to"]?["rel_type"] == .string("m.replace"))
        #expect(edit["m.new_content"]?["body"] == .string("done"))
        let long = BotReply.list("h", (0..<10_000).map { "item \($0)" })
        #expect(long.plain.utf8.count < 20_000 && long.plain.contains("more"))
        #expect(BotReply.text(String(repeating: "ä", count: 100_000)).plain.utf8.count < 20_000)
    }
}
