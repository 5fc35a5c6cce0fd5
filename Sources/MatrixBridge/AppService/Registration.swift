// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A registration of an application service: the file that makes the homeserver know us.
///
/// Callbridge has two. The pushed one owns the bot and gets events; the delegated one has no URL, so that nothing is
/// pushed for its wide namespace, and lends the rights of local users for few purposes (application service API,
/// "Registration"; MSC4190, MSC3202, MSC4502, MSC4512).
package struct Registration: Equatable, Sendable {
    package struct Namespace: Equatable, Sendable {
        package var isExclusive: Bool
        /// Matched by the homeserver from the start of the id only; written with both anchors.
        package var regex: String

        package init(isExclusive: Bool, regex: String) {
            self.isExclusive = isExclusive
            self.regex = regex
        }
    }

    /// Where the homeserver forwards the token calls of its clients and of other homeservers (MSC4512).
    package struct Proxy: Equatable, Sendable {
        package var prefix: String
        package var url: String

        package init(prefix: String, url: String) {
            self.prefix = prefix
            self.url = url
        }
    }

    package static let pushedID = "callbridge"
    package static let delegatedID = "callbridge-rtc"

    package var id: String
    /// Where the homeserver reaches us; nil when it must not push.
    package var url: String?
    package var asToken: Secret
    package var hsToken: Secret
    package var senderLocalpart: String
    package var users: [Namespace]
    package var isRateLimited: Bool
    package var receivesEphemeral: Bool
    /// Device lists and key counts in transactions (MSC3202).
    package var receivesDeviceChanges: Bool
    /// Devices without a login (MSC4190).
    package var managesDevices: Bool
    /// MSC4502.
    package var scopes: [String]
    package var proxy: Proxy?
}

// MARK: - The two that we write

extension Registration {
    /// The bot and the ghosts of a homeserver, with events, typing and to-device messages pushed to `url`.
    package static func pushed(
        url: String, serverName: String, botLocalpart: String, using generator: inout some RandomNumberGenerator
    ) -> Registration {
        let domain = escaped(serverName)
        return Registration(
            id: pushedID, url: url, asToken: .random(using: &generator), hsToken: .random(using: &generator),
            senderLocalpart: "_callbridge",
            users: [
                Namespace(isExclusive: true, regex: "^@\(escaped(botLocalpart)):\(domain)$"),
                Namespace(isExclusive: true, regex: "^@_call_.*:\(domain)$"),
            ],
            isRateLimited: false, receivesEphemeral: true, receivesDeviceChanges: true, managesDevices: true,
            scopes: [],
            proxy: nil)
    }

    /// Every local user of a homeserver, without any push.
    package static func delegated(
        proxyURL: String, serverName: String, using generator: inout some RandomNumberGenerator
    ) -> Registration {
        Registration(
            id: delegatedID, url: nil, asToken: .random(using: &generator), hsToken: .random(using: &generator),
            senderLocalpart: "_callbridge_rtc",
            users: [Namespace(isExclusive: false, regex: "^@.*:\(escaped(serverName))$")],
            isRateLimited: false, receivesEphemeral: false, receivesDeviceChanges: false, managesDevices: false,
            scopes: ["urn:matrix:client:io.element.msc4502:rooms:is_joined"],
            proxy: Proxy(prefix: "rtc/livekit", url: proxyURL))
    }

    /// A text in which no character has a meaning of its own in a regular expression.
    package static func escaped(_ text: String) -> String {
        text.map { "\\.+*?()|[]{}^$".contains($0) ? "\\\($0)" : String($0) }.joined()
    }

    /// Matrix server name: a host, an IPv4 literal or an IPv6 literal in brackets, with an optional port.
    package static func isServerName(_ text: String) -> Bool {
        guard text.utf8.count <= 255, !text.isEmpty else { return false }
        var host = text[...]
        if host.first == "[" {
            guard let end = host.firstIndex(of: "]") else { return false }
            let inner = host[host.index(after: host.startIndex)..<end]
            let rest = host[host.index(after: end)...]
            guard ConfigurationReader.isAddress(String(inner)), inner.contains(":") else { return false }
            return rest.isEmpty || rest.first == ":" && isPort(rest.dropFirst())
        }
        if let colon = host.firstIndex(of: ":") {
            guard isPort(host[host.index(after: colon)...]) else { return false }
            host = host[..<colon]
        }
        return !host.isEmpty && host.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == ".") }
    }

    private static func isPort(_ text: Substring) -> Bool {
        (1...5).contains(text.count) && text.allSatisfy { $0.isASCII && $0.isNumber }
    }

    /// The characters of a localpart that a homeserver accepts for new users.
    package static func isLocalpart(_ text: String) -> Bool {
        (1...200).contains(text.utf8.count)
            && text.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber || "._=-/+".contains($0)) }
    }
}

// MARK: - The file

extension Registration {
    /// Why a file is no registration.
    package struct Fault: Error, Equatable, Sendable {
        package enum Reason: Equatable, Sendable {
            case yaml(YAMLText.Fault.Reason)
            case missing(String)
            case wrongType(String, wanted: String)
            case idHoldsBar
            case halfProxy
            case sameTokens
        }

        package var reason: Reason
        package var place: TextPlace

        package var problem: String {
            switch reason {
            case .yaml(let reason): reason.problem
            case .missing(let key): "the registration has no \(key)"
            case .wrongType(let key, let wanted): "\(key) of the registration must be \(wanted)"
            case .idHoldsBar: "id of the registration must not hold a vertical bar"
            case .halfProxy: "proxy_prefix and proxy_url of the registration need each other"
            case .sameTokens: "as_token and hs_token of the registration must differ"
            }
        }

        package var correction: String {
            switch reason {
            case .yaml(let reason): reason.correction
            case .missing(let key), .wrongType(let key, _):
                "\(key): …  # or make it anew: callbridge generate-registration"
            case .idHoldsBar: "id: \(Registration.pushedID)"
            case .halfProxy: "io.element.msc4512.proxy_prefix: rtc/livekit"
            case .sameTokens: "callbridge generate-registration --force"
            }
        }
    }

    /// Reads a registration file; keys that mean nothing to us are left alone.
    package init(reading text: String) throws(Fault) {
        let root: ConfigurationNode
        do {
            root = try YAMLText(reading: text).root
        } catch {
            throw Fault(reason: .yaml(error.reason), place: error.place)
        }
        let fields = Fields(root: root)
        self.id = try fields.text("id")
        self.url = try fields.optionalText("url")
        self.asToken = Secret(try fields.text("as_token"))
        self.hsToken = Secret(try fields.text("hs_token"))
        self.senderLocalpart = try fields.text("sender_localpart")
        self.users = try fields.namespaces()
        self.isRateLimited = try fields.boolean("rate_limited") ?? true
        let stable = try fields.boolean("receive_ephemeral")
        let older = try fields.boolean("de.sorunome.msc2409.push_ephemeral")
        self.receivesEphemeral = stable ?? older ?? false
        self.receivesDeviceChanges = try fields.boolean("org.matrix.msc3202") ?? false
        self.managesDevices = try fields.boolean("io.element.msc4190") ?? false
        self.scopes = try fields.texts("io.element.msc4502.scopes")
        let prefix = try fields.optionalText("io.element.msc4512.proxy_prefix")
        let proxyURL = try fields.optionalText("io.element.msc4512.proxy_url")
        guard (prefix == nil) == (proxyURL == nil) else { throw Fault(reason: .halfProxy, place: root.place) }
        if let prefix, let proxyURL { self.proxy = Proxy(prefix: prefix, url: proxyURL) } else { self.proxy = nil }
        guard !id.contains("|") else { throw Fault(reason: .idHoldsBar, place: fields.place("id")) }
        guard asToken != hsToken else { throw Fault(reason: .sameTokens, place: fields.place("hs_token")) }
    }

    /// The file's text, with the tokens: for a private file only.
    package var yaml: String {
        var lines = [
            "id: \(FlowText.scalar(id))",
            "url: \(url.map(FlowText.scalar) ?? "null")",
            "as_token: \(FlowText.scalar(asToken.exposed))",
            "hs_token: \(FlowText.scalar(hsToken.exposed))",
            "sender_localpart: \(FlowText.scalar(senderLocalpart))",
            "rate_limited: \(isRateLimited)",
            "namespaces:",
            users.isEmpty ? "  users: []" : "  users:",
        ]
        for namespace in users {
            lines.append("    - exclusive: \(namespace.isExclusive)")
            // Single quotes: a backslash stays a backslash.
            lines.append("      regex: '\(namespace.regex.replacing("'", with: "''"))'")
        }
        lines += ["  aliases: []", "  rooms: []"]
        let switches: [(String, Bool)] = [
            ("receive_ephemeral", receivesEphemeral), ("org.matrix.msc3202", receivesDeviceChanges),
            ("io.element.msc4190", managesDevices),
        ]
        lines += switches.filter(\.1).map { "\($0.0): true" }
        if !scopes.isEmpty { lines.append("io.element.msc4502.scopes: \(FlowText.list(scopes))") }
        if let proxy {
            lines.append("io.element.msc4512.proxy_prefix: \(FlowText.scalar(proxy.prefix))")
            lines.append("io.element.msc4512.proxy_url: \(FlowText.scalar(proxy.url))")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// Typed access to the keys of a registration file.
private struct Fields {
    let root: ConfigurationNode

    func place(_ key: String) -> TextPlace { root[key]?.place ?? root.place }

    func optionalText(_ key: String) throws(Registration.Fault) -> String? {
        guard let node = root[key], node.content != .null else { return nil }
        guard let text = node.scalar, !text.isEmpty else {
            throw Registration.Fault(reason: .wrongType(key, wanted: "a text"), place: node.place)
        }
        return text
    }

    func text(_ key: String) throws(Registration.Fault) -> String {
        guard let text = try optionalText(key) else {
            throw Registration.Fault(reason: .missing(key), place: place(key))
        }
        return text
    }

    func boolean(_ key: String) throws(Registration.Fault) -> Bool? {
        guard let node = root[key], node.content != .null else { return nil }
        guard let value = node.scalar.flatMap(ConfigurationReader.boolean(_:)) else {
            throw Registration.Fault(reason: .wrongType(key, wanted: "true or false"), place: node.place)
        }
        return value
    }

    func texts(_ key: String) throws(Registration.Fault) -> [String] {
        guard let node = root[key], node.content != .null else { return [] }
        guard case .sequence(let items) = node.content else {
            throw Registration.Fault(reason: .wrongType(key, wanted: "a list"), place: node.place)
        }
        var texts: [String] = []
        for item in items {
            guard let text = item.scalar else {
                throw Registration.Fault(reason: .wrongType(key, wanted: "a list of texts"), place: item.place)
            }
            texts.append(text)
        }
        return texts
    }

    func namespaces() throws(Registration.Fault) -> [Registration.Namespace] {
        guard let users = root["namespaces"]?["users"], users.content != .null else { return [] }
        guard case .sequence(let items) = users.content else {
            throw Registration.Fault(reason: .wrongType("namespaces.users", wanted: "a list"), place: users.place)
        }
        var namespaces: [Registration.Namespace] = []
        for item in items {
            guard let regex = item["regex"]?.scalar,
                let isExclusive = item["exclusive"]?.scalar.flatMap(ConfigurationReader.boolean(_:))
            else {
                throw Registration.Fault(
                    reason: .wrongType("namespaces.users", wanted: "a list of {exclusive, regex}"), place: item.place)
            }
            namespaces.append(Registration.Namespace(isExclusive: isExclusive, regex: regex))
        }
        return namespaces
    }
}
