// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// What the bot answers, as plain text and as HTML. Values of others are escaped in the HTML.
package struct BotReply: Equatable, Sendable {
    /// More would not fit into an event with both forms.
    static let maximumByteCount = 12_000

    package private(set) var plain: String
    package private(set) var html: String

    private init(plain: String, html: String) {
        self.plain = plain
        self.html = html
    }

    /// One sentence or several.
    package static func text(_ text: String) -> BotReply {
        let text = clipped(text)
        return BotReply(plain: text, html: escaped(text).replacing("\n", with: "<br>"))
    }

    /// A heading with one line for each item; long lists are cut, and say so.
    package static func list(_ heading: String, _ items: [String]) -> BotReply {
        var kept: [String] = []
        var size = heading.utf8.count
        for item in items {
            size += item.utf8.count + 3
            guard size <= maximumByteCount else { break }
            kept.append(item)
        }
        if kept.count < items.count { kept.append("… and \(items.count - kept.count) more") }
        return BotReply(
            plain: ([heading] + kept.map { "- " + $0 }).joined(separator: "\n"),
            html: escaped(heading) + "<ul>" + kept.map { "<li>\(escaped($0))</li>" }.joined() + "</ul>")
    }

    /// Lines under each other in a fixed width.
    package static func code(_ heading: String, _ text: String) -> BotReply {
        let text = clipped(text)
        return BotReply(
            plain: heading + "\n" + text,
            html: escaped(heading) + "<pre><code>\(escaped(text))</code></pre>")
    }

    /// The content of the message.
    ///
    /// - Parameters:
    ///   - question: The event that is answered.
    ///   - replaced: An earlier message of ours that this one takes the place of.
    package func content(answering question: EventID?, replacing replaced: EventID? = nil) -> JSONObject {
        var content: JSONObject = [
            "msgtype": .string("m.notice"), "body": .string(plain),
            "format": .string("org.matrix.custom.html"), "formatted_body": .string(html),
        ]
        if let replaced {
            let new = content
            content["body"] = .string("* " + plain)
            content["formatted_body"] = .string("* " + html)
            content["m.new_content"] = .object(new)
            content["m.relates_to"] = .object([
                "rel_type": .string("m.replace"), "event_id": .string(replaced.rawValue),
            ])
        } else if let question {
            content["m.relates_to"] = .object([
                "m.in_reply_to": .object(["event_id": .string(question.rawValue)])
            ])
        }
        return content
    }

    private static func clipped(_ text: String) -> String {
        guard text.utf8.count > maximumByteCount else { return text }
        return String(decoding: text.utf8.prefix(maximumByteCount), as: UTF8.self) + "…"
    }

    static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }
}
