// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The values that the sources set, the strongest for each key, with what was wrong with the sources themselves.
struct ConfigurationValues: Sendable {
    struct Value: Sendable {
        var node: ConfigurationNode
        var origin: ConfigurationOrigin

        /// The origin of a part of the value.
        func origin(of part: ConfigurationNode) -> ConfigurationOrigin {
            guard case .text(let name, _) = origin else { return origin }
            return .text(name: name, at: part.place)
        }
    }

    private(set) var byPath: [String: Value] = [:]
    private(set) var findings: [ConfigurationFinding] = []
    /// Whether a text could not be read, so that what is missing may only be unread.
    private(set) var isIncomplete = false
    private var texts: [String: SourceText] = [:]

    init(collecting sources: ConfigurationSources) {
        if let path = sources.file { addFile(path) }
        var variables: [(name: String, value: String, origin: ConfigurationOrigin)] = []
        if let path = sources.environmentFile {
            for variable in readEnvironmentFile(path) where sources.environment[variable.name] == nil {
                let origin = ConfigurationOrigin.environmentFile(
                    path: path, line: variable.line, variable: variable.name)
                variables.append((variable.name, variable.value, origin))
            }
        }
        for (name, value) in sources.environment.sorted(by: { $0.key < $1.key }) {
            variables.append((name, value, .environment(name)))
        }
        for variable in variables where EnvironmentNames.wholeText.contains(variable.name) && !variable.value.isEmpty {
            addText(variable.value, name: variable.name)
        }
        addVariables(variables)
        for flag in sources.flags { addFlag(flag) }
    }

    /// The line of a place up to the place, with whatever follows masked.
    func maskedExcerpt(at origin: ConfigurationOrigin) -> String? {
        guard case .text(let name, let place) = origin, let lead = texts[name]?.lead(to: place) else { return nil }
        return lead + "…"
    }

    /// The line of a value, secrets masked; nil when it cannot be shown safely.
    func excerpt(of value: Value, key: ConfigurationKey) -> String? {
        guard case .text(let name, let place) = value.origin, let lead = texts[name]?.lead(to: place),
            lead.contains(":")
        else { return nil }
        guard !key.isSecret, key.kind != .tree, key.kind != .text, let scalar = value.node.scalar else {
            return lead + "…"
        }
        return lead + (scalar.split(whereSeparator: \.isNewline).first.map { String($0.prefix(60)) } ?? "")
    }
}

// MARK: - Texts

extension ConfigurationValues {
    private mutating func addFile(_ path: String) {
        do {
            addText(try ConfigurationFile.read(path).text, name: path)
        } catch {
            isIncomplete = true
            findings.append(Self.finding(error, path: path, flag: "--config"))
        }
    }

    private static func finding(
        _ fault: ConfigurationFile.Fault, path: String, flag: String
    ) -> ConfigurationFinding {
        var place = TextPlace.start
        var correction = "\(flag) FILE with a file that can be read"
        if case .notUTF8(let found) = fault {
            place = found
            correction = "iconv -f ISO-8859-1 -t UTF-8 \(path)"
        }
        return ConfigurationFinding(.fault, at: .text(name: path, at: place), fault.problem, correction: correction)
    }

    private mutating func addText(_ text: String, name: String) {
        texts[name] = SourceText(name: name, text: text)
        do {
            let yaml = try YAMLText(reading: text)
            add(yaml.root, path: "", name: name)
        } catch {
            isIncomplete = true
            findings.append(
                ConfigurationFinding(
                    .fault, at: .text(name: name, at: error.place), error.reason.problem,
                    correction: error.reason.correction, excerpt: texts[name]?.head(of: error.place.line)))
        }
    }

    private mutating func add(_ node: ConfigurationNode, path: String, name: String) {
        switch node.content {
        case .null:
            return
        case .scalar, .sequence:
            findings.append(
                ConfigurationFinding(
                    .fault, at: .text(name: name, at: node.place), "\(path) must be a map, not \(node.kindName)",
                    correction: "\(path):\n  \(ConfigurationKeys.names(below: path).first ?? "key"): …"))
        case .mapping(let entries):
            for entry in entries { add(entry, below: path, name: name) }
        }
    }

    private mutating func add(_ entry: ConfigurationNode.Entry, below section: String, name: String) {
        let path = section.isEmpty ? entry.key : section + "." + entry.key
        if ConfigurationKeys.byPath[path] != nil {
            guard entry.value.content != .null else { return }
            byPath[path] = Value(node: entry.value, origin: .text(name: name, at: entry.value.place))
        } else if ConfigurationKeys.sections.contains(path) {
            add(entry.value, path: path, name: name)
        } else {
            findings.append(unknownKey(entry, path: path, section: section, name: name))
        }
    }

    private func unknownKey(
        _ entry: ConfigurationNode.Entry, path: String, section: String, name: String
    ) -> ConfigurationFinding {
        let shown = Self.presentable(path)
        var nearest = NearestName.of(entry.key, in: ConfigurationKeys.names(below: section))
            .map { section.isEmpty ? $0 : section + "." + $0 }
        if nearest == nil {
            // Right name, wrong section.
            nearest = ConfigurationKeys.all.first { $0.name == entry.key }?.path
            nearest = nearest ?? NearestName.of(path, in: ConfigurationKeys.all.map(\.path))
        }
        let lead = texts[name]?.lead(to: entry.place)
        let excerpt = lead.map { $0 + Self.presentable(entry.key) + ": …" }
        let origin = ConfigurationOrigin.text(name: name, at: entry.place)
        guard let nearest else {
            return ConfigurationFinding(
                .warning, at: origin, "unknown key \(shown), no valid key is near it",
                correction: "remove it; `callbridge config print` lists every key", excerpt: excerpt)
        }
        return ConfigurationFinding(
            .warning, at: origin, "unknown key \(shown), did you mean \(nearest)?",
            correction: Self.nestedLine(nearest, value: Self.shownValue(of: entry.value, for: nearest)),
            excerpt: excerpt)
    }

    /// A key as it may be printed: what is no name may be a secret in the wrong place.
    static func presentable(_ name: String) -> String {
        let isName =
            name.count <= 64 && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "_-.".contains($0)) }
        // Long words of mixed letters and digits are how generated secrets look.
        let isWord = name.split(whereSeparator: { "._-".contains($0) }).allSatisfy { $0.count < 24 }
        return isName && isWord ? name : "…"
    }

    /// The value of a misspelt key, when the right key's type makes sure that it is no secret.
    private static func shownValue(of node: ConfigurationNode, for path: String) -> String {
        guard let key = ConfigurationKeys.byPath[path], let text = node.scalar else { return "…" }
        switch key.kind {
        case .boolean, .integer, .seconds, .duration, .choice:
            return text.count <= 12 ? text : "…"
        case .text, .url, .addresses, .texts, .tree:
            return "…"
        }
    }

    /// `rtc.udp_port` as YAML: two lines, the second indented.
    static func nestedLine(_ path: String, value: String) -> String {
        path.split(separator: ".").enumerated().map { index, part in
            String(repeating: "  ", count: index) + part + ":"
        }.joined(separator: "\n") + " " + value
    }
}

extension YAMLText.Fault.Reason {
    package var problem: String {
        switch self {
        case .tooLong(let count): "the text has \(count) bytes, more than the \(YAMLText.byteLimit) allowed"
        case .tooManyAliases: "more than \(YAMLText.aliasLimit) aliases (*name)"
        case .tooDeep: "more than \(YAMLText.depthLimit) levels of nesting"
        case .tooManyValues: "more than \(YAMLText.valueLimit) values once aliases are expanded"
        case .tabIndentation: "a tab where only spaces may indent"
        case .controlCharacter: "a control character, which YAML does not allow"
        case .syntax(let problem): "not valid YAML: \(problem)"
        case .duplicateKey(let name, let line):
            "key \(ConfigurationValues.presentable(name)) stands twice in one map, first in line \(line)"
        case .rootIsNotMap(let kind): "the configuration must be a map of keys, not \(kind)"
        case .keyIsNotScalar: "a key must be a name, not a list or a map"
        case .severalDocuments: "more than one YAML document"
        }
    }

    package var correction: String {
        switch self {
        case .tooLong: "shorten the text"
        case .tooManyAliases, .tooManyValues: "write the values out instead of *aliases"
        case .tooDeep: "nest less; no key is deeper than 4 levels"
        case .tabIndentation: "replace the tab by two spaces"
        case .controlCharacter: "remove the character, or write it as \\xNN in double quotes"
        case .syntax: "write `key: value`, indent with spaces, and quote values that hold : # { [ or *"
        case .duplicateKey: "keep one of the two lines"
        case .rootIsNotMap: "port: 7880"
        case .keyIsNotScalar: "quote the key, or put a value of that shape behind a key"
        case .severalDocuments: "remove the text from the second `---` on"
        }
    }
}

// MARK: - Variables and flags

extension ConfigurationValues {
    private mutating func readEnvironmentFile(_ path: String) -> [EnvironmentFile.Variable] {
        do {
            let file = EnvironmentFile(reading: try ConfigurationFile.read(path).text)
            for fault in file.faults {
                findings.append(
                    ConfigurationFinding(
                        .fault, at: .text(name: path, at: fault.place), fault.reason.problem,
                        correction: "NAME=\"value\""))
            }
            return file.variables
        } catch {
            isIncomplete = true
            findings.append(Self.finding(error, path: path, flag: "--env-file"))
            return []
        }
    }

    private mutating func addVariables(_ variables: [(name: String, value: String, origin: ConfigurationOrigin)]) {
        var ranks: [String: (rank: Int, name: String, value: String)] = [:]
        for variable in variables where !EnvironmentNames.wholeText.contains(variable.name) {
            guard let target = EnvironmentNames.table[variable.name] else {
                noteUnknown(variable.name, origin: variable.origin)
                continue
            }
            guard !variable.value.isEmpty else { continue }
            if let other = ranks[target.path] {
                let stronger = other.rank < target.rank ? other.name : variable.name
                if other.value != variable.value {
                    findings.append(
                        ConfigurationFinding(
                            .warning, at: variable.origin,
                            "\(other.name) and \(variable.name) both set \(target.path) and differ; \(stronger) wins",
                            correction: "unset \(stronger == other.name ? variable.name : other.name)"))
                }
                guard target.rank < other.rank else { continue }
            }
            ranks[target.path] = (target.rank, variable.name, variable.value)
            set(target.path, to: variable.value, origin: variable.origin)
        }
    }

    private mutating func noteUnknown(_ name: String, origin: ConfigurationOrigin) {
        guard EnvironmentNames.prefixes.contains(where: { name.hasPrefix($0) }) else { return }
        if EnvironmentNames.clientNames.contains(name) {
            findings.append(
                ConfigurationFinding(
                    .note, at: origin, "\(name) is for clients; the server's keys are in LIVEKIT_KEYS"))
            return
        }
        if let key = EnvironmentNames.structure(of: name), case .accepted(let reason) = key.use {
            findings.append(ConfigurationFinding(.note, at: origin, "\(name) has no effect: \(reason)"))
            return
        }
        let nearest = NearestName.of(name, in: ConfigurationKeys.all.flatMap { EnvironmentNames.names(of: $0.path) })
        findings.append(
            ConfigurationFinding(
                .warning, at: origin,
                nearest.map { "unknown variable \(name), did you mean \($0)?" } ?? "unknown variable \(name)",
                correction: nearest.map { "\($0)=…" } ?? "unset \(name)"))
    }

    private mutating func addFlag(_ flag: ConfigurationSources.Flag) {
        set(flag.path, to: flag.text, origin: .flag(flag.name))
    }

    /// A text from outside YAML: a structure is written in YAML's flow style or as JSON, everything else as it is.
    private mutating func set(_ path: String, to text: String, origin: ConfigurationOrigin) {
        guard let key = ConfigurationKeys.byPath[path] else { return }
        let isFlow = text.drop(while: \.isWhitespace).first.map { "[{".contains($0) } ?? false
        let wantsTree = key.kind == .tree && path != APIKeyConfiguration.keysKey.path
        guard wantsTree || (isFlow && (key.kind == .addresses || key.kind == .texts)) else {
            byPath[path] = Value(node: ConfigurationNode(.scalar(text)), origin: origin)
            return
        }
        do {
            byPath[path] = Value(node: try YAMLText(reading: text, anyRoot: true).root, origin: origin)
        } catch {
            findings.append(
                ConfigurationFinding(
                    .fault, at: origin, "\(path): \(error.reason.problem)", correction: error.reason.correction))
        }
    }
}

extension EnvironmentFile.Fault.Reason {
    var problem: String {
        switch self {
        case .noEqualsSign: "a line without an equals sign"
        case .badName: "a name may hold letters, digits and underscores and begins with no digit"
        case .openQuote: "a quote that is never closed"
        case .textAfterQuote: "text after the closing quote"
        }
    }
}
