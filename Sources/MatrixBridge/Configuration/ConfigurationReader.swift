// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU

/// An effective value, ready to print.
package struct EffectiveValue: Equatable, Sendable {
    package var path: String
    /// In YAML's flow style, secrets masked.
    package var text: String
    package var origin: ConfigurationOrigin
    package var comment: String
}

/// Hands the sections their values, typed, and gathers every fault on the way.
///
/// A value that is wrong yields the built-in one, so that reading goes on and all faults come out together.
struct ConfigurationReader {
    let isDevelopment: Bool
    private(set) var findings: [ConfigurationFinding]
    private(set) var effective: [EffectiveValue] = []
    private let values: ConfigurationValues

    init(_ values: ConfigurationValues, isDevelopment: Bool) {
        self.values = values
        self.isDevelopment = isDevelopment
        self.findings = values.findings
    }

    mutating func report(_ finding: ConfigurationFinding) {
        findings.append(finding)
    }

    /// Reports that a value is missing, unless a source could not be read and may hold it.
    mutating func reportMissing(_ problem: String, correction: String, status: ExitStatus = .configuration) {
        guard !values.isIncomplete else { return }
        report(
            ConfigurationFinding(.fault, at: .allSources, problem, correction: correction, status: status))
    }

    /// The line of a place, up to the place.
    func maskedExcerpt(at origin: ConfigurationOrigin) -> String? { values.maskedExcerpt(at: origin) }

    /// Notes a value that a section worked out itself.
    mutating func record(_ key: ConfigurationKey, _ text: String, origin: ConfigurationOrigin? = nil) {
        effective.removeAll { $0.path == key.path }
        effective.append(
            EffectiveValue(
                path: key.path, text: text, origin: origin ?? self.origin(of: key), comment: key.comment))
    }

    /// Whether a source could not be read.
    var isIncomplete: Bool { values.isIncomplete }

    func isSet(_ key: ConfigurationKey) -> Bool { values.byPath[key.path] != nil }

    func value(_ key: ConfigurationKey) -> ConfigurationValues.Value? { values.byPath[key.path] }

    /// Where the effective value of a key comes from.
    func origin(of key: ConfigurationKey) -> ConfigurationOrigin {
        if let value = values.byPath[key.path] { return value.origin }
        return isDevelopment && key.developmentText != nil ? .development : .builtIn
    }

    func builtInText(_ key: ConfigurationKey) -> String {
        (isDevelopment ? key.developmentText : nil) ?? key.defaultText
    }

    // MARK: Typed values

    mutating func text(_ key: ConfigurationKey) -> String? {
        let text = scalar(key) { $0.isEmpty ? nil : $0 }
        record(key, text.map { key.isSecret ? Secret($0).description : FlowText.scalar($0) } ?? "null")
        return text
    }

    mutating func secret(_ key: ConfigurationKey) -> Secret? {
        text(key).map { Secret($0) }
    }

    mutating func choice(_ key: ConfigurationKey) -> String {
        guard case .choice(let names) = key.kind else { return "" }
        let name =
            scalar(key) { text in names.contains(text.lowercased()) ? text.lowercased() : nil } ?? names.first ?? ""
        record(key, name)
        return name
    }

    mutating func boolean(_ key: ConfigurationKey) -> Bool {
        let value = scalar(key, Self.boolean(_:)) ?? false
        record(key, String(value))
        return value
    }

    mutating func integer(_ key: ConfigurationKey) -> Int {
        guard case .integer(let range) = key.kind else { return 0 }
        let value = scalar(key) { Self.integer($0, in: range) } ?? range.lowerBound
        record(key, String(value))
        return value
    }

    mutating func duration(_ key: ConfigurationKey) -> Duration {
        let bareSeconds = key.kind == .seconds
        let value = scalar(key) { Self.duration($0, bareSeconds: bareSeconds) } ?? .zero
        record(key, FlowText.duration(value))
        return value
    }

    /// Without the slash at its end.
    mutating func url(_ key: ConfigurationKey) -> String? {
        guard case .url(let schemes) = key.kind else { return nil }
        let value = scalar(key) { Self.url($0, schemes: schemes) }
        record(key, value.map(FlowText.scalar) ?? "null")
        return value
    }

    mutating func texts(_ key: ConfigurationKey) -> [String] {
        let items = list(key)
        record(key, FlowText.list(items.map(\.text)))
        return items.map(\.text)
    }

    /// Address literals without brackets; an empty entry of the list stands for all addresses, as LiveKit has it.
    mutating func addresses(_ key: ConfigurationKey) -> [String] {
        var addresses: [String] = []
        var hasAll = false
        for item in list(key) {
            if item.text.isEmpty {
                hasAll = true
                continue
            }
            let literal =
                item.text.hasPrefix("[") && item.text.hasSuffix("]")
                ? String(item.text.dropFirst().dropLast()) : item.text
            if Self.isAddress(literal) {
                addresses.append(literal)
            } else {
                fail(key, "\(key.path) \(key.requirement), not \"\(item.text.prefix(60))\"", at: item.origin)
            }
        }
        if hasAll { addresses = [] }
        record(key, FlowText.list(addresses))
        return addresses
    }

    // MARK: Faults

    /// Reports a wrong value with the line that corrects it.
    mutating func fail(
        _ key: ConfigurationKey, _ problem: String, at origin: ConfigurationOrigin? = nil, correction: String? = nil,
        status: ExitStatus = .configuration
    ) {
        let origin = origin ?? self.origin(of: key)
        let value = values.byPath[key.path]
        let excerpt =
            value?.origin == origin
            ? value.flatMap { values.excerpt(of: $0, key: key) } : values.maskedExcerpt(at: origin)
        report(
            ConfigurationFinding(
                .fault, at: origin, problem,
                correction: Self.line(key, value: correction ?? key.correctValue, at: origin),
                excerpt: excerpt, status: status))
    }

    /// The line that sets a key in the manner of a source.
    static func line(_ key: ConfigurationKey, value: String, at origin: ConfigurationOrigin) -> String {
        switch origin {
        case .environment(let name), .environmentFile(_, _, let name): "\(name)=\(value)"
        case .flag(let name): "\(name) \(value)"
        case .text: "\(key.name): \(value)"
        case .builtIn, .development, .allSources: ConfigurationValues.nestedLine(key.path, value: value)
        }
    }

    private mutating func scalar<Result>(_ key: ConfigurationKey, _ parse: (String) -> Result?) -> Result? {
        let builtIn = builtInText(key).isEmpty ? nil : parse(builtInText(key))
        guard let value = values.byPath[key.path] else { return builtIn }
        guard let text = value.node.scalar else {
            fail(key, "\(key.path) \(key.requirement), not \(value.node.kindName)")
            return builtIn
        }
        // An empty text means "not set", as in `--node-ip ""` or `node_ip: ""`.
        guard !text.isEmpty || key.kind != .text else { return builtIn }
        guard let result = parse(text) else {
            let found = key.isSecret || key.kind == .text ? "" : ", not \"\(text.prefix(60))\""
            fail(key, "\(key.path) \(key.requirement)\(found)")
            return builtIn
        }
        return result
    }

    private mutating func list(_ key: ConfigurationKey) -> [(text: String, origin: ConfigurationOrigin)] {
        guard let value = values.byPath[key.path] else {
            return Self.split(builtInText(key)).map { ($0, origin(of: key)) }
        }
        switch value.node.content {
        case .null:
            return []
        case .scalar(let text):
            return Self.split(text).map { ($0, value.origin) }
        case .mapping:
            fail(key, "\(key.path) \(key.requirement), not a map")
            return []
        case .sequence(let items):
            var texts: [(text: String, origin: ConfigurationOrigin)] = []
            for item in items {
                if let text = item.scalar {
                    texts.append((text, value.origin(of: item)))
                } else {
                    fail(
                        key, "\(key.path) \(key.requirement); one entry is \(item.kindName)", at: value.origin(of: item)
                    )
                }
            }
            return texts
        }
    }

    private static func split(_ text: String) -> [String] {
        text.split { $0 == "," || $0.isWhitespace }.map(String.init)
    }
}

// MARK: - Scalars

extension ConfigurationReader {
    static func boolean(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "yes", "on", "y", "1": true
        case "false", "no", "off", "n", "0": false
        default: nil
        }
    }

    static func integer(_ text: String, in range: ClosedRange<Int>) -> Int? {
        let plain = text.replacing("_", with: "")
        let value =
            plain.hasPrefix("0x")
            ? Int(plain.dropFirst(2), radix: 16)
            : plain.hasPrefix("0o") ? Int(plain.dropFirst(2), radix: 8) : Int(plain)
        guard let value, range.contains(value) else { return nil }
        return value
    }

    /// `1h30m`, `500ms`, `1.5s`, `2d`; a bare number where `bareSeconds`, and a bare 0 always. At most ten years.
    static func duration(_ text: String, bareSeconds: Bool) -> Duration? {
        if let bare = Double(text) {
            return bareSeconds || bare == 0 ? seconds(bare) : nil
        }
        var rest = text[...]
        var total = 0.0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber || $0 == "." }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard let amount = Double(digits), let factor = secondsPerUnit(unit) else { return nil }
            total += amount * factor
        }
        return text.isEmpty ? nil : seconds(total)
    }

    private static func secondsPerUnit(_ unit: Substring) -> Double? {
        switch unit {
        case "ns": 1e-9
        case "us", "µs": 1e-6
        case "ms": 1e-3
        case "s": 1
        case "m": 60
        case "h": 3600
        case "d": 86_400
        default: nil
        }
    }

    private static func seconds(_ value: Double) -> Duration? {
        guard value.isFinite, value >= 0, value <= 315_360_000 else { return nil }
        return .nanoseconds(Int64((value * 1e9).rounded()))
    }

    static func url(_ text: String, schemes: [String]) -> String? {
        guard let scheme = schemes.first(where: { text.lowercased().hasPrefix($0 + "://") }) else { return nil }
        let rest = text.dropFirst(scheme.count + 3)
        let authority = rest.prefix { !"/?#".contains($0) }
        guard !authority.isEmpty, !authority.contains("@"), !rest.contains(where: { "?# \\".contains($0) }),
            text.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value < 0x7F })
        else { return nil }
        var url = text[...]
        while url.last == "/" { url.removeLast() }
        return String(url)
    }

    static func isAddress(_ text: String) -> Bool {
        NetworkAddress(text, port: 0) != nil
    }
}

/// Values in YAML's flow style.
enum FlowText {
    /// Plain where every YAML reader takes it for the same text, else in double quotes.
    static func scalar(_ text: String) -> String {
        let isPlain =
            !text.isEmpty && text.first?.isLetter == true
            && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "._-/".contains($0)) }
        let reserved: Set<String> = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"]
        if isPlain && !reserved.contains(text.lowercased()) { return text }
        return quoted(text)
    }

    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let hex = String(scalar.value, radix: 16)
                result += "\\x" + (hex.count == 1 ? "0" : "") + hex
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    static func list(_ items: [String]) -> String {
        "[" + items.map(scalar).joined(separator: ", ") + "]"
    }

    static func map(_ entries: [(String, String)]) -> String {
        "{" + entries.map { "\($0.0): \($0.1)" }.joined(separator: ", ") + "}"
    }

    /// The shortest of the units that is exact to the millisecond: `500ms`, `5m`.
    static func duration(_ duration: Duration) -> String {
        let milliseconds = duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
        if milliseconds % 1000 != 0 { return "\(milliseconds)ms" }
        let seconds = milliseconds / 1000
        if seconds == 0 { return "0s" }
        if seconds % 3600 == 0 { return "\(seconds / 3600)h" }
        return seconds % 60 == 0 ? "\(seconds / 60)m" : "\(seconds)s"
    }
}
