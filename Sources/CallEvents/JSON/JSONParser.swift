// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

extension JSONValue {
    /// Reads one JSON document.
    ///
    /// Of equal member names the last one counts, as in Synapse. An escaped surrogate without its partner becomes
    /// U+FFFD: one such string from a careless client must not cost the rest of a transaction.
    ///
    /// - Complexity: linear in the byte count; the stack is bounded by ``JSONLimits/depth``.
    package static func parse(
        _ bytes: [UInt8],
        limits: JSONLimits = .event,
    ) throws(JSONRefusal) -> JSONValue {
        guard bytes.count <= limits.byteCount else { throw .tooManyBytes }
        var parser = JSONParser(bytes: bytes, limits: limits)
        return try parser.parseDocument()
    }
}

/// The cursor of ``JSONValue/parse(_:limits:)``: recursive descent over RFC 8259.
private struct JSONParser {
    private let bytes: [UInt8]
    private let limits: JSONLimits
    private var offset = 0
    private var valueCount = 0
    /// What ``valueCount`` may reach: the document's limit, or that of the element that is being read.
    private var valueLimit: Int

    init(bytes: [UInt8], limits: JSONLimits) {
        self.bytes = bytes
        self.limits = limits
        valueLimit = limits.valueCount
    }

    mutating func parseDocument() throws(JSONRefusal) -> JSONValue {
        let value = try parseValue(depth: 0)
        skipWhitespace()
        guard offset == bytes.count else { throw .trailingBytes }
        return value
    }

    private mutating func parseValue(depth: Int) throws(JSONRefusal) -> JSONValue {
        valueCount += 1
        guard valueCount <= valueLimit else { throw .tooManyValues }
        skipWhitespace()
        switch try peek() {
        case UInt8(ascii: "{"): return try parseObject(depth: depth)
        case UInt8(ascii: "["): return try parseArray(depth: depth)
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "t"): return try parseLiteral("true", as: .bool(true))
        case UInt8(ascii: "f"): return try parseLiteral("false", as: .bool(false))
        case UInt8(ascii: "n"): return try parseLiteral("null", as: .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try parseNumber()
        default: throw .unexpectedByte
        }
    }

    private mutating func parseObject(depth: Int) throws(JSONRefusal) -> JSONValue {
        guard depth < limits.depth else { throw .tooDeep }
        offset += 1
        var members: JSONObject = [:]
        skipWhitespace()
        if try peek() == UInt8(ascii: "}") {
            offset += 1
            return .object(members)
        }
        while true {
            skipWhitespace()
            guard try peek() == UInt8(ascii: "\"") else { throw .unexpectedByte }
            let name = try parseString()
            skipWhitespace()
            guard try take() == UInt8(ascii: ":") else { throw .unexpectedByte }
            members[name] = try parseValue(depth: depth + 1)
            skipWhitespace()
            switch try take() {
            case UInt8(ascii: ","): continue
            case UInt8(ascii: "}"): return .object(members)
            default: throw .unexpectedByte
            }
        }
    }

    private mutating func parseArray(depth: Int) throws(JSONRefusal) -> JSONValue {
        guard depth < limits.depth else { throw .tooDeep }
        offset += 1
        var elements: [JSONValue] = []
        skipWhitespace()
        if try peek() == UInt8(ascii: "]") {
            offset += 1
            return .array(elements)
        }
        while true {
            elements.append(depth == 1 ? try parseElement() : try parseValue(depth: depth + 1))
            skipWhitespace()
            switch try take() {
            case UInt8(ascii: ","): continue
            case UInt8(ascii: "]"): return .array(elements)
            default: throw .unexpectedByte
            }
        }
    }

    /// An element of a list of the outermost object: null when it is too much by itself.
    private mutating func parseElement() throws(JSONRefusal) -> JSONValue {
        guard let elementValueCount = limits.elementValueCount else { return try parseValue(depth: 2) }
        let (start, before) = (offset, valueCount)
        valueLimit = min(limits.valueCount, before + elementValueCount)
        defer { valueLimit = limits.valueCount }
        do throws(JSONRefusal) {
            return try parseValue(depth: 2)
        } catch .tooDeep {
        } catch .tooManyValues {
            guard before + elementValueCount < limits.valueCount else { throw .tooManyValues }
        } catch {
            throw error
        }
        offset = start
        valueCount = before + 1
        try passOver()
        return .null
    }

    /// Goes behind the object or list at the cursor, however deep it is, without a look at its grammar.
    private mutating func passOver() throws(JSONRefusal) {
        skipWhitespace()
        var open = 0
        repeat {
            switch try peek() {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                open += 1
                offset += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                open -= 1
                offset += 1
            case UInt8(ascii: "\""): _ = try parseString()
            default: offset += 1
            }
        } while open > 0
    }

    private mutating func parseLiteral(_ literal: StaticString, as value: JSONValue) throws(JSONRefusal) -> JSONValue {
        for index in 0..<literal.utf8CodeUnitCount {
            guard try take() == literal.utf8Start[index] else { throw .unexpectedByte }
        }
        return value
    }

    private mutating func parseNumber() throws(JSONRefusal) -> JSONValue {
        let start = offset
        var isInteger = true
        skip(UInt8(ascii: "-"))
        if offset < bytes.count, bytes[offset] == UInt8(ascii: "0") {
            offset += 1
        } else {
            try skipDigits()
        }
        if skip(UInt8(ascii: ".")) {
            isInteger = false
            try skipDigits()
        }
        if skip(UInt8(ascii: "e")) || skip(UInt8(ascii: "E")) {
            isInteger = false
            if !skip(UInt8(ascii: "+")) { skip(UInt8(ascii: "-")) }
            try skipDigits()
        }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if isInteger, let integer = Int64(text) { return .integer(integer) }
        guard let number = Double(text), number.isFinite else { throw .invalidNumber }
        return .number(number)
    }

    private mutating func skipDigits() throws(JSONRefusal) {
        let start = offset
        while offset < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[offset]) { offset += 1 }
        guard offset > start else { throw offset == bytes.count ? .truncated : .invalidNumber }
    }

    private mutating func parseString() throws(JSONRefusal) -> String {
        offset += 1
        let start = offset
        while true {
            switch try peek() {
            case UInt8(ascii: "\""):
                let text = try validated(bytes[start..<offset])
                offset += 1
                return text
            case UInt8(ascii: "\\"):
                return try parseEscapedString(from: start)
            case 0..<0x20:
                throw .controlCharacter
            default:
                offset += 1
            }
        }
    }

    /// The rest of a string that has an escape at the cursor; `start` is its first byte.
    private mutating func parseEscapedString(from start: Int) throws(JSONRefusal) -> String {
        var unescaped = Array(bytes[start..<offset])
        while true {
            let byte = try take()
            switch byte {
            case UInt8(ascii: "\""): return try validated(unescaped[...])
            case UInt8(ascii: "\\"): try parseEscape(into: &unescaped)
            case 0..<0x20: throw .controlCharacter
            default: unescaped.append(byte)
            }
        }
    }

    private mutating func parseEscape(into unescaped: inout [UInt8]) throws(JSONRefusal) {
        switch try take() {
        case UInt8(ascii: "\""): unescaped.append(UInt8(ascii: "\""))
        case UInt8(ascii: "\\"): unescaped.append(UInt8(ascii: "\\"))
        case UInt8(ascii: "/"): unescaped.append(UInt8(ascii: "/"))
        case UInt8(ascii: "b"): unescaped.append(0x08)
        case UInt8(ascii: "f"): unescaped.append(0x0C)
        case UInt8(ascii: "n"): unescaped.append(0x0A)
        case UInt8(ascii: "r"): unescaped.append(0x0D)
        case UInt8(ascii: "t"): unescaped.append(0x09)
        case UInt8(ascii: "u"):
            let scalar = try parseUnicodeEscape()
            unescaped.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        default: throw .invalidEscape
        }
    }

    /// The scalar of `\uXXXX`, or of two of them that make a surrogate pair.
    private mutating func parseUnicodeEscape() throws(JSONRefusal) -> Unicode.Scalar {
        let first = try parseFourHexDigits()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard (0xD800...0xDBFF).contains(first),
            offset + 1 < bytes.count,
            bytes[offset] == UInt8(ascii: "\\"),
            bytes[offset + 1] == UInt8(ascii: "u")
        else { return "\u{FFFD}" }
        let afterFirst = offset
        offset += 2
        let second = try parseFourHexDigits()
        guard (0xDC00...0xDFFF).contains(second) else {
            // Not the partner: it is read again as an escape of its own.
            offset = afterFirst
            return "\u{FFFD}"
        }
        return Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)) ?? "\u{FFFD}"
    }

    private mutating func parseFourHexDigits() throws(JSONRefusal) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            let byte = try take()
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: throw .invalidEscape
            }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    private func validated(_ text: ArraySlice<UInt8>) throws(JSONRefusal) -> String {
        guard let string = String(validating: text, as: UTF8.self) else { throw .invalidUTF8 }
        return string
    }

    private mutating func skipWhitespace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x09, 0x0A, 0x0D: offset += 1
            default: return
            }
        }
    }

    @discardableResult
    private mutating func skip(_ byte: UInt8) -> Bool {
        guard offset < bytes.count, bytes[offset] == byte else { return false }
        offset += 1
        return true
    }

    private func peek() throws(JSONRefusal) -> UInt8 {
        guard offset < bytes.count else { throw .truncated }
        return bytes[offset]
    }

    private mutating func take() throws(JSONRefusal) -> UInt8 {
        let byte = try peek()
        offset += 1
        return byte
    }
}
