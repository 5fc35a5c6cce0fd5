// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// API keys as people write them: `name: secret`, `name:secret`, `name=secret`, a YAML map, a JSON object, a list of
/// these, several on lines or between commas or semicolons.
package struct APIKeyText: Equatable, Sendable {
    package struct Pair: Equatable, Sendable {
        package var key: APIKeyPair
        package var place: TextPlace
    }

    package struct Fault: Equatable, Sendable {
        package enum Reason: Equatable, Sendable {
            /// No `:` or `=`; the text is not kept, it may be the secret.
            case noSeparator
            case noName
            case badName
            /// A value that is no text, or a map inside the map.
            case notText
            case syntax(String)
            case openQuote
        }

        package var reason: Reason
        package var place: TextPlace
    }

    package private(set) var pairs: [Pair] = []
    package private(set) var faults: [Fault] = []

    /// Reads a text from a variable, a flag or a key file.
    package init(reading text: String) {
        add(text: text, at: .start)
    }

    /// Reads a value of the configuration file.
    package init(reading node: ConfigurationNode) {
        add(node)
    }

    private mutating func add(_ node: ConfigurationNode) {
        switch node.content {
        case .null:
            return
        case .scalar(let text):
            add(text: text, at: node.place)
        case .sequence(let items):
            for item in items { add(item) }
        case .mapping(let entries):
            for entry in entries { add(entry) }
        }
    }

    private mutating func add(_ entry: ConfigurationNode.Entry) {
        switch entry.value.content {
        case .scalar(let secret):
            add(name: entry.key, secret: secret, at: entry.value.place)
        case .null where entry.key.contains(where: { ":=".contains($0) }):
            // `{name:secret}`: without a space YAML takes the pair for a key alone.
            add(piece: entry.key, at: entry.place)
        case .null:
            add(name: entry.key, secret: "", at: entry.place)
        case .sequence, .mapping:
            faults.append(Fault(reason: .notText, place: entry.value.place))
        }
    }

    private mutating func add(text: String, at place: TextPlace) {
        var trimmed = Self.trim(text[...])
        if let first = trimmed.first, first == "\"" || first == "'",
            trimmed.dropFirst().firstIndex(of: first) == trimmed.indices.last
        {
            trimmed = Self.trim(trimmed.dropFirst().dropLast())
        }
        if let first = trimmed.first, "{[".contains(first) {
            do {
                let root = try YAMLText(reading: String(trimmed), anyRoot: true).root
                add(Self.move(root, to: place))
            } catch {
                faults.append(Fault(reason: .syntax(error.reason.problem), place: place))
            }
            return
        }
        for piece in Self.pieces(of: trimmed) {
            guard let text = piece.text else {
                faults.append(Fault(reason: .openQuote, place: place))
                continue
            }
            let here = TextPlace(line: place.line + piece.line, column: piece.line == 0 ? place.column : 1)
            add(piece: text, at: here)
        }
    }

    /// A text inside a value has no place of its own.
    private static func move(_ node: ConfigurationNode, to place: TextPlace) -> ConfigurationNode {
        switch node.content {
        case .null, .scalar: ConfigurationNode(node.content, at: place)
        case .sequence(let items): ConfigurationNode(.sequence(items.map { move($0, to: place) }), at: place)
        case .mapping(let entries):
            ConfigurationNode(
                .mapping(
                    entries.map {
                        ConfigurationNode.Entry(key: $0.key, place: place, value: move($0.value, to: place))
                    }), at: place)
        }
    }

    private mutating func add(piece: String, at place: TextPlace) {
        var rest = Self.trim(piece[...])
        if rest.hasPrefix("- ") { rest = Self.trim(rest.dropFirst(2)) }
        guard let separator = Self.separator(in: rest) else {
            faults.append(Fault(reason: .noSeparator, place: place))
            return
        }
        let name = Self.unquote(Self.trim(rest[..<separator]))
        add(name: name, secret: Self.unquote(Self.trim(rest[rest.index(after: separator)...])), at: place)
    }

    private mutating func add(name: String, secret: String, at place: TextPlace) {
        guard !name.isEmpty else {
            faults.append(Fault(reason: .noName, place: place))
            return
        }
        guard name.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value < 0x7F }), name.utf8.count <= 256 else {
            faults.append(Fault(reason: .badName, place: place))
            return
        }
        pairs.append(Pair(key: APIKeyPair(name: name, secret: Secret(secret)), place: place))
    }

    // MARK: Text

    /// The first colon or equals sign outside quotes.
    private static func separator(in text: Substring) -> Substring.Index? {
        var quote: Character?
        for index in text.indices {
            let character = text[index]
            if let open = quote {
                if character == open { quote = nil }
            } else if index == text.startIndex, character == "\"" || character == "'" {
                quote = character
            } else if character == ":" || character == "=" {
                return index
            }
        }
        return nil
    }

    /// Cuts at line ends, commas and semicolons outside quotes; comments and empty pieces fall away.
    private static func pieces(of text: Substring) -> [(text: String?, line: Int)] {
        var pieces: [(text: String?, line: Int)] = []
        var current = ""
        var line = 0
        var startLine = 0
        var quote: Character?
        var isComment = false
        func isOpening(_ character: Character) -> Bool {
            (character == "\"" || character == "'") && (trim(current[...]).last.map { ":=".contains($0) } ?? true)
        }
        func finish() {
            if !trim(current[...]).isEmpty { pieces.append((current, startLine)) }
            current = ""
        }
        for character in text {
            if character.isNewline {
                if quote != nil { pieces.append((nil, startLine)) }
                if quote == nil { finish() } else { current = "" }
                quote = nil
                isComment = false
                line += 1
                startLine = line
            } else if isComment {
                continue
            } else if let open = quote {
                current.append(character)
                if character == open { quote = nil }
            } else if isOpening(character) {
                quote = character
                current.append(character)
            } else if character == "," || character == ";" {
                finish()
            } else if character == "#", current.last.map(\.isWhitespace) ?? true {
                isComment = true
            } else {
                current.append(character)
            }
        }
        if quote != nil { pieces.append((nil, startLine)) } else { finish() }
        return pieces
    }

    private static func trim(_ text: Substring) -> Substring {
        var rest = text.drop(while: \.isWhitespace)
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return rest
    }

    private static func unquote(_ text: Substring) -> String {
        guard text.count >= 2, let first = text.first, first == "\"" || first == "'", text.last == first else {
            return String(text)
        }
        return String(text.dropFirst().dropLast())
    }
}

extension APIKeyText.Fault.Reason {
    package var problem: String {
        switch self {
        case .noSeparator: "a key without its secret: no colon or equals sign"
        case .noName: "a secret without the name of its key"
        case .badName: "the name of a key holds spaces or characters other than printable ASCII"
        case .notText: "the secret of a key must be a text"
        case .syntax(let problem): problem
        case .openQuote: "a quote that is never closed"
        }
    }
}
