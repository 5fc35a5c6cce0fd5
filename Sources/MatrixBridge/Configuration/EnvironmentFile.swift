// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Variables from a file of `NAME=value` lines, as `--env-file` reads it.
///
/// A line may begin with `export`. A value may stand in single quotes (taken as it is) or double quotes (with `\n`,
/// `\t`, `\"`, `\\` and `\$`); a quoted value may run over several lines. Outside quotes a `#` after a space begins a
/// comment. Variables are not expanded.
package struct EnvironmentFile: Equatable, Sendable {
    package struct Variable: Equatable, Sendable {
        package var name: String
        package var value: String
        package var line: Int
    }

    package struct Fault: Equatable, Sendable {
        package enum Reason: Equatable, Sendable {
            case noEqualsSign
            case badName
            case openQuote
            case textAfterQuote
        }

        package var reason: Reason
        package var place: TextPlace
    }

    package private(set) var variables: [Variable] = []
    package private(set) var faults: [Fault] = []

    package init(reading text: String) {
        var scanner = Scanner(scalars: Array(text.unicodeScalars))
        while !scanner.isAtEnd { readLine(&scanner) }
    }

    private mutating func readLine(_ scanner: inout Scanner) {
        scanner.skipBlanks()
        guard let first = scanner.peek, first != "\n", first != "#" else {
            scanner.skipLine()
            return
        }
        let start = scanner.place
        var name = scanner.takeName()
        if name == "export", scanner.skipBlanks() > 0 { name = scanner.takeName() }
        let blanks = scanner.skipBlanks()
        guard scanner.peek == "=" else {
            let reason: Fault.Reason =
                scanner.peek == nil || scanner.peek == "\n" || blanks > 0 ? .noEqualsSign : .badName
            return fail(reason, at: start, &scanner)
        }
        guard let letter = name.unicodeScalars.first, !("0"..."9").contains(letter) else {
            return fail(.badName, at: start, &scanner)
        }
        scanner.advance()
        scanner.skipBlanks()
        let valuePlace = scanner.place
        var value: String
        if let quote = scanner.peek, quote == "\"" || quote == "'" {
            guard let quoted = scanner.takeQuoted(quote) else { return fail(.openQuote, at: valuePlace, &scanner) }
            value = quoted
            scanner.skipBlanks()
            if let next = scanner.peek, next != "\n", next != "#" {
                return fail(.textAfterQuote, at: scanner.place, &scanner)
            }
        } else {
            value = scanner.takePlain()
        }
        scanner.skipLine()
        variables.append(Variable(name: name, value: value, line: start.line))
    }

    private mutating func fail(_ reason: Fault.Reason, at place: TextPlace, _ scanner: inout Scanner) {
        faults.append(Fault(reason: reason, place: place))
        scanner.skipLine()
    }
}

/// A position in the scalars of the text.
private struct Scanner {
    let scalars: [Unicode.Scalar]
    private var index = 0
    private(set) var place = TextPlace.start

    init(scalars: [Unicode.Scalar]) {
        self.scalars = scalars.filter { $0 != "\r" && $0 != "\u{FEFF}" }
    }

    var isAtEnd: Bool { index >= scalars.count }
    var peek: Unicode.Scalar? { isAtEnd ? nil : scalars[index] }

    mutating func advance() {
        guard let scalar = peek else { return }
        index += 1
        place =
            scalar == "\n"
            ? TextPlace(line: place.line + 1, column: 1) : TextPlace(line: place.line, column: place.column + 1)
    }

    @discardableResult
    mutating func skipBlanks() -> Int {
        var count = 0
        while peek == " " || peek == "\t" {
            advance()
            count += 1
        }
        return count
    }

    mutating func skipLine() {
        while let scalar = peek {
            advance()
            if scalar == "\n" { return }
        }
    }

    mutating func takeName() -> String {
        var name = String.UnicodeScalarView()
        while let scalar = peek {
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "_", ".":
                name.append(scalar)
                advance()
            default:
                return String(name)
            }
        }
        return String(name)
    }

    /// Up to the end of the line or a comment, without the blanks at the end.
    mutating func takePlain() -> String {
        var value = String.UnicodeScalarView()
        var previous: Unicode.Scalar = " "
        while let scalar = peek, scalar != "\n" {
            if scalar == "#", previous == " " || previous == "\t" { break }
            value.append(scalar)
            previous = scalar
            advance()
        }
        while let last = value.last, last == " " || last == "\t" { value.removeLast() }
        return String(value)
    }

    /// The text between quotes; nil when the closing quote is missing.
    mutating func takeQuoted(_ quote: Unicode.Scalar) -> String? {
        var value = String.UnicodeScalarView()
        advance()
        while let scalar = peek {
            advance()
            if scalar == quote { return String(value) }
            guard scalar == "\\", quote == "\"", let escaped = peek else {
                value.append(scalar)
                continue
            }
            advance()
            switch escaped {
            case "n": value.append("\n")
            case "t": value.append("\t")
            case "\"", "\\", "$": value.append(escaped)
            default: value.append(contentsOf: ["\\", escaped])
            }
        }
        return nil
    }
}
