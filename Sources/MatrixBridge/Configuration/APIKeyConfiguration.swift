// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import FocusSFU

/// The API keys whose tokens the focus accepts; the first one signs the tokens we hand out.
package struct APIKeyConfiguration: Equatable, Sendable {
    /// At least one, unless the configuration has faults. Names differ.
    package var pairs: [APIKeyPair]

    /// The secret behind a token's `iss`.
    package func secret(of name: String) -> Secret? {
        pairs.first { $0.name == name }?.secret
    }

    /// The keys as the focus takes them.
    ///
    /// - Throws: ``APIKeyFault`` never for a configuration without faults.
    package func keySet() throws(APIKeyFault) -> APIKeySet {
        try APIKeySet(
            secrets: Dictionary(pairs.map { ($0.name, $0.secret.exposed) }, uniquingKeysWith: { first, _ in first }))
    }

    static let keysKey = ConfigurationKey(
        "keys", .tree, development: "devkey: secret", isSecret: true,
        "API keys, name: secret, at least 32 characters; `callbridge keys new` makes one")
    static let keyFileKey = ConfigurationKey(
        "key_file", .text, example: "/etc/callbridge/keys", "file of API keys, not readable by others")

    static let keys = [keysKey, keyFileKey]

    init(reading values: inout ConfigurationReader) {
        var collected = Collected()
        if let value = values.value(Self.keysKey) {
            let text = value.origin.isText ? APIKeyText(reading: value.node) : Self.text(of: value.node)
            for fault in text.faults {
                Self.report(fault, at: value.origin(of: ConfigurationNode(.null, at: fault.place)), &values)
            }
            for pair in text.pairs {
                collected.add(pair.key, at: value.origin(of: ConfigurationNode(.null, at: pair.place)), &values)
            }
        }
        if let path = values.text(Self.keyFileKey) { Self.readFile(path, into: &collected, &values) }
        let found = collected.pairs.isEmpty && collected.refusedCount == 0
        if values.isDevelopment, found {
            collected.add(.development, at: .development, &values)
        } else if found, !values.isSet(Self.keysKey) {
            values.reportMissing(
                "there is no API key", correction: Self.newLine(name: "APIname", at: .allSources))
        } else if found,
            !values.findings.contains(where: { $0.severity == .fault && $0.origin == values.origin(of: Self.keysKey) })
        {
            values.fail(Self.keysKey, "keys holds no API key", correction: "{NAME: …}  # callbridge keys new")
        }
        self.pairs = collected.pairs
        let shown = pairs.map { ($0.name, FlowText.quoted($0.secret.description)) }
        values.record(
            Self.keysKey, FlowText.map(shown), origin: collected.origins.first ?? values.origin(of: Self.keysKey))
    }

    /// A variable or a flag, which is read as one text.
    private static func text(of node: ConfigurationNode) -> APIKeyText {
        node.scalar.map { APIKeyText(reading: $0) } ?? APIKeyText(reading: node)
    }

    private static func readFile(_ path: String, into collected: inout Collected, _ values: inout ConfigurationReader) {
        do {
            let file = try ConfigurationFile.read(path)
            let origin = ConfigurationOrigin.text(name: path, at: .start)
            if file.mode & 0o007 != 0 {
                let mode = String(file.mode & 0o777, radix: 8)
                values.report(
                    ConfigurationFinding(
                        .fault, at: origin, "the key file is open to every user of the machine (mode \(mode))",
                        correction: "chmod 600 \(path)"))
            }
            let text = APIKeyText(reading: file.text)
            for fault in text.faults { report(fault, at: .text(name: path, at: fault.place), &values) }
            for pair in text.pairs { collected.add(pair.key, at: .text(name: path, at: pair.place), &values) }
            if text.pairs.isEmpty, text.faults.isEmpty {
                values.report(
                    ConfigurationFinding(
                        .fault, at: origin, "the key file holds no key",
                        correction: "callbridge keys new --output \(path) --force"))
            }
        } catch {
            values.fail(
                keyFileKey, "key_file \(path): \(error.problem)",
                correction: "/etc/callbridge/keys  # callbridge keys new --output FILE")
        }
    }

    private static func report(
        _ fault: APIKeyText.Fault, at origin: ConfigurationOrigin, _ values: inout ConfigurationReader
    ) {
        values.report(
            ConfigurationFinding(
                .fault, at: origin, "keys: \(fault.reason.problem)", correction: line(name: "NAME", at: origin),
                excerpt: values.maskedExcerpt(at: origin)))
    }

    /// A pair as its source would write it, the secret masked.
    static func line(name: String, at origin: ConfigurationOrigin) -> String {
        switch origin {
        case .environment(let variable), .environmentFile(_, _, let variable): "\(variable)=\"\(name): …\""
        case .flag(let flag): "\(flag) \"\(name): …\""
        case .text: "\(name): …"
        case .builtIn, .development, .allSources: "keys:\n  \(name): …"
        }
    }

    /// The same, with the command that makes the line.
    static func newLine(name: String, at origin: ConfigurationOrigin) -> String {
        line(name: name, at: origin) + "  # the line that `callbridge keys new --name \(name)` prints"
    }
}

extension ConfigurationOrigin {
    /// Whether the place is one in a YAML text.
    var isText: Bool {
        guard case .text = self else { return false }
        return true
    }
}

/// The pairs found so far.
private struct Collected {
    var pairs: [APIKeyPair] = []
    var origins: [ConfigurationOrigin] = []
    var refusedCount = 0

    mutating func add(_ key: APIKeyPair, at origin: ConfigurationOrigin, _ values: inout ConfigurationReader) {
        if let index = pairs.firstIndex(where: { $0.name == key.name }) {
            guard pairs[index].secret != key.secret else { return }
            refusedCount += 1
            values.report(
                ConfigurationFinding(
                    .fault, at: origin, "key \(shown(key)) has another secret at \(origins[index])",
                    correction: "keep one of the two, or give one another name",
                    excerpt: values.maskedExcerpt(at: origin)))
            return
        }
        if let weakness = APIKeyWeakness(of: key.secret, isDevelopment: values.isDevelopment) {
            refusedCount += 1
            values.report(
                ConfigurationFinding(
                    .fault, at: origin, "the secret of key \(shown(key)) \(weakness.problem)",
                    correction: APIKeyConfiguration.newLine(name: shown(key), at: origin),
                    excerpt: values.maskedExcerpt(at: origin)))
            return
        }
        pairs.append(key)
        origins.append(origin)
    }

    /// Name and secret are sometimes swapped, or the secret stands alone and passes for a name: a name is printed only
    /// when it looks like one and has a secret.
    private func shown(_ key: APIKeyPair) -> String {
        key.secret.byteCount == 0 ? "…" : ConfigurationValues.presentable(key.name)
    }
}
