// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Yams

/// A YAML text as a tree of ``ConfigurationNode``, read within limits so that no text can exhaust time or memory.
///
/// Limits: 1 MiB of text, 16 aliases, 32 levels, 20 000 values after the aliases are expanded. One document, whose root
/// is a map (or nothing); keys are scalars. Merge keys (`<<`) are honoured, the map's own keys win.
package struct YAMLText: Sendable {
    package static let byteLimit = 1 << 20
    package static let aliasLimit = 16
    package static let depthLimit = 32
    package static let valueLimit = 20_000

    /// A text that cannot be read; the place is in the text.
    package struct Fault: Error, Equatable, Sendable {
        package enum Reason: Equatable, Sendable {
            case tooLong(byteCount: Int)
            case tooManyAliases
            case tooDeep
            case tooManyValues
            case tabIndentation
            case controlCharacter
            case syntax(String)
            case duplicateKey(String, firstLine: Int)
            case rootIsNotMap(String)
            case keyIsNotScalar
            case severalDocuments
        }

        package var reason: Reason
        package var place: TextPlace
    }

    package let root: ConfigurationNode

    /// - Parameter anyRoot: accept a list or a single value at the root, as a variable's text may be.
    package init(reading text: String, anyRoot: Bool = false) throws(Fault) {
        guard text.utf8.count <= Self.byteLimit else {
            throw Fault(reason: .tooLong(byteCount: text.utf8.count), place: .start)
        }
        if let place = Self.placeOfAlias(number: Self.aliasLimit, in: text) {
            throw Fault(reason: .tooManyAliases, place: place)
        }
        let composed: Node?
        do {
            composed = try Yams.compose(yaml: text, .basic, .default, .utf8)
        } catch {
            throw Self.fault(error, in: text)
        }
        guard let composed else {
            self.root = ConfigurationNode(.null)
            return
        }
        var reader = TreeReader()
        let root = try reader.read(composed, depth: 0)
        switch root.content {
        case .mapping, .null:
            self.root = root
        case .scalar, .sequence:
            guard anyRoot else { throw Fault(reason: .rootIsNotMap(root.kindName), place: root.place) }
            self.root = root
        }
    }

    /// The place of alias `number`, counted from 0. Counts what could be one, wherever it stands, so it never counts
    /// too few: the composer's search for duplicate keys walks into aliases and must not meet many.
    private static func placeOfAlias(number: Int, in text: String) -> TextPlace? {
        var place = TextPlace.start
        var seen = 0
        var previous: UInt8 = 0x0A
        var starAt: TextPlace?
        for byte in text.utf8 {
            if let star = starAt, isNameByte(byte) {
                if seen == number { return star }
                seen += 1
            }
            starAt = byte == UInt8(ascii: "*") && !isNameByte(previous) ? place : nil
            if byte == 0x0A {
                place = TextPlace(line: place.line + 1, column: 1)
            } else if byte & 0xC0 != 0x80 {
                place.column += 1
            }
            previous = byte
        }
        return nil
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: byte >= 0x80
        }
    }

    private static func fault(_ error: any Error, in text: String) -> Fault {
        guard let error = error as? YamlError else {
            return Fault(reason: .syntax("the text cannot be read"), place: .start)
        }
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _):
            let place = TextPlace(mark)
            if problem.contains("tab character")
                || problem.contains("start any token") && line(place.line, of: text).prefix(place.column).last == "\t"
            {
                return Fault(reason: .tabIndentation, place: place)
            }
            if problem.hasPrefix("Maximum nesting") { return Fault(reason: .tooDeep, place: place) }
            return Fault(reason: .syntax(problem), place: place)
        case .composer(_, let problem, let mark, _):
            let reason: Fault.Reason = problem.contains("another document") ? .severalDocuments : .syntax(problem)
            return Fault(reason: reason, place: TextPlace(mark))
        case .reader:
            return Fault(reason: .controlCharacter, place: placeOfControlCharacter(in: text))
        case .duplicatedKeysInMapping(let names, let context):
            let first = TextPlace(context.mark)
            let name = names.first ?? ""
            let again = placeOfKey(name, after: first, in: text) ?? first
            return Fault(reason: .duplicateKey(name, firstLine: first.line), place: again)
        case .no, .memory, .writer, .emitter, .representer, .dataCouldNotBeDecoded:
            return Fault(reason: .syntax("the text cannot be read"), place: .start)
        }
    }

    private static func placeOfControlCharacter(in text: String) -> TextPlace {
        var place = TextPlace.start
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": place = TextPlace(line: place.line + 1, column: 0)
            case "\t", "\r", "\u{85}": break
            case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value): return place
            default: break
            }
            place.column += 1
        }
        return .start
    }

    private static func line(_ number: Int, of text: String) -> Substring {
        let lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
        return number >= 1 && number <= lines.count ? lines[number - 1] : ""
    }

    /// The composer names the first of two equal keys only; the second stands below it at the same column.
    private static func placeOfKey(_ name: String, after first: TextPlace, in text: String) -> TextPlace? {
        let lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
        for (index, line) in lines.enumerated() where index + 1 > first.line {
            guard line.unicodeScalars.count >= first.column else { continue }
            let indent = line.unicodeScalars.prefix(first.column - 1)
            guard indent.allSatisfy({ $0 == " " || $0 == "-" }) else { continue }
            let rest = String(line.unicodeScalars.dropFirst(first.column - 1))
            guard rest.hasPrefix(name) || rest.hasPrefix("\"\(name)\"") || rest.hasPrefix("'\(name)'") else { continue }
            return TextPlace(line: index + 1, column: first.column)
        }
        return nil
    }
}

extension TextPlace {
    init(_ mark: Mark) {
        self.init(line: max(1, mark.line), column: max(1, mark.column))
    }
}

/// Copies the composer's tree into ours, counting.
private struct TreeReader {
    var valueCount = 0
    var place = TextPlace.start

    mutating func read(_ node: Node, depth: Int) throws(YAMLText.Fault) -> ConfigurationNode {
        place = node.mark.map { TextPlace($0) } ?? place
        guard depth <= YAMLText.depthLimit else { throw YAMLText.Fault(reason: .tooDeep, place: place) }
        valueCount += 1
        guard valueCount <= YAMLText.valueLimit else { throw YAMLText.Fault(reason: .tooManyValues, place: place) }
        let here = place
        switch node {
        case .scalar(let scalar):
            return ConfigurationNode(Self.content(of: scalar), at: here)
        case .sequence(let sequence):
            var items: [ConfigurationNode] = []
            for item in sequence { items.append(try read(item, depth: depth + 1)) }
            return ConfigurationNode(.sequence(items), at: here)
        case .mapping(let mapping):
            return ConfigurationNode(.mapping(try entries(of: mapping, depth: depth)), at: here)
        case .alias:
            // The composer resolves aliases itself; this case exists for writers.
            return ConfigurationNode(.null, at: here)
        }
    }

    private mutating func entries(
        of mapping: Node.Mapping, depth: Int
    ) throws(YAMLText.Fault) -> [ConfigurationNode.Entry] {
        var own: [ConfigurationNode.Entry] = []
        var merged: [ConfigurationNode.Entry] = []
        for (key, value) in mapping {
            let keyPlace = key.mark.map { TextPlace($0) } ?? place
            guard case .scalar(let scalar) = key else {
                throw YAMLText.Fault(reason: .keyIsNotScalar, place: keyPlace)
            }
            let node = try read(value, depth: depth + 1)
            if scalar.string == "<<", scalar.style == .plain {
                merged += Self.mergedEntries(node)
            } else {
                own.append(ConfigurationNode.Entry(key: scalar.string, place: keyPlace, value: node))
            }
        }
        var names = Set(own.map(\.key))
        return own + merged.filter { names.insert($0.key).inserted }
    }

    private static func mergedEntries(_ node: ConfigurationNode) -> [ConfigurationNode.Entry] {
        switch node.content {
        case .mapping(let entries): entries
        case .sequence(let nodes): nodes.flatMap { mergedEntries($0) }
        case .null, .scalar: []
        }
    }

    private static func content(of scalar: Node.Scalar) -> ConfigurationNode.Content {
        let quoted = scalar.style != .plain && scalar.style != .any
        if !quoted, ["", "~", "null", "Null", "NULL"].contains(scalar.string) { return .null }
        return .scalar(scalar.string)
    }
}
