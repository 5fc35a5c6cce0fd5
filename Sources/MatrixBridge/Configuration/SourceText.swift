// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A text that was read, kept to show lines of it without their secrets.
struct SourceText: Sendable {
    var name: String
    private var lines: [Substring]

    init(name: String, text: String) {
        self.name = name
        self.lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
    }

    /// The line of a key or its value, when nothing but the key stands before the place: `  port: `.
    func lead(to place: TextPlace) -> String? {
        guard place.line <= lines.count else { return nil }
        let line = lines[place.line - 1].unicodeScalars
        let lead = String(String.UnicodeScalarView(line.prefix(place.column - 1)))
        // Long words are how generated secrets look; none of them is shown.
        guard lead.split(whereSeparator: { !$0.isLetter && !$0.isNumber }).allSatisfy({ $0.count < 24 }) else {
            return nil
        }
        let isPlain = lead.unicodeScalars.allSatisfy { scalar in
            scalar.isASCII && (scalar.properties.isAlphabetic || "0123456789_-: .\t".unicodeScalars.contains(scalar))
        }
        let colons = lead.count { $0 == ":" }
        return isPlain && colons <= 1 && lead.count <= 80 ? lead.replacing("\t", with: " ") : nil
    }

    /// The line of a fault of syntax: shown up to its first colon, since what follows may be a secret.
    func head(of line: Int) -> String? {
        guard line >= 1, line <= lines.count else { return nil }
        let text = lines[line - 1]
        guard let colon = text.firstIndex(of: ":"),
            let lead = lead(to: TextPlace(line: line, column: text[..<colon].unicodeScalars.count + 1))
        else { return nil }
        return lead + (text[colon...].count > 1 ? ": …" : ":")
    }
}
