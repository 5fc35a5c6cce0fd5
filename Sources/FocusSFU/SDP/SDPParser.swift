// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Reads the text of a session description (RFC 8866 §9) line by line.
///
/// Input is hostile: everything is bounded by ``Limit``, lines may end in CRLF or LF, and nothing is interpreted beyond
/// the line grammar. ``SectionAttributes`` gives attributes their meaning.
package struct SDPParser {
    package enum Limit {
        /// Room for 160 sections at the 4 to 5 KiB that browsers fill with a video section; answers are far shorter.
        package static let descriptionBytes = 768 << 10
        package static let lineBytes = 8192
        package static let sections = 512
        /// At session level.
        package static let sessionAttributes = 64
        /// Per media section.
        package static let attributes = 1024
        package static let formats = 128
    }

    private static let letters = "vosiuepcbtrzkam"

    private var lineNumber = 0
    private var origin: SessionDescription.Origin?
    private var description: SessionDescription?

    private init() {}

    /// Reads a description that arrived as text.
    ///
    /// - Throws: ``SDPError`` with the number of the offending line.
    package static func parse(_ text: String) throws(SDPError) -> SessionDescription {
        var text = text
        return try text.withUTF8 { utf8 in
            Result { () throws(SDPError) in try parse(UnsafeRawBufferPointer(utf8)) }
        }.get()
    }

    /// Reads a description that arrived as UTF-8 bytes, which need to be valid for the call only.
    ///
    /// - Throws: ``SDPError`` with the number of the offending line.
    package static func parse(_ bytes: UnsafeRawBufferPointer) throws(SDPError) -> SessionDescription {
        guard bytes.count <= Limit.descriptionBytes else {
            throw SDPError(
                .descriptionTooLong(byteCount: bytes.count, limit: Limit.descriptionBytes), at: .description)
        }
        var parser = SDPParser()
        var start = 0
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
            parser.lineNumber += 1
            let hasReturn = end > start && bytes[end - 1] == UInt8(ascii: "\r")
            try parser.read(line: bytes[start..<(hasReturn ? end - 1 : end)])
            start = end + 1
        }
        guard let description = parser.description else { throw SDPError(.missingPreamble, at: .description) }
        return description
    }

    private func refusal(_ reason: SDPError.Reason) -> SDPError {
        SDPError(reason, at: .line(lineNumber))
    }

    private mutating func read(line: Slice<UnsafeRawBufferPointer>) throws(SDPError) {
        guard line.count <= Limit.lineBytes else {
            throw refusal(.lineTooLong(byteCount: line.count, limit: Limit.lineBytes))
        }
        guard !line.contains(where: { $0 == 0 || $0 == UInt8(ascii: "\r") }) else { throw refusal(.notText) }
        // Some stacks end a description with an empty line.
        guard let letter = line.first else { return }
        guard Self.letters.utf8.contains(letter), line.count >= 2, line[line.startIndex + 1] == UInt8(ascii: "=") else {
            throw refusal(.malformedLine)
        }
        guard let value = String(validating: line.dropFirst(2), as: UTF8.self) else { throw refusal(.notText) }
        guard description != nil else { return try readPreamble(letter, value) }
        switch letter {
        case UInt8(ascii: "m"): try appendSection(value)
        case UInt8(ascii: "a"): try appendAttribute(value)
        case UInt8(ascii: "c"): setConnection(value)
        case UInt8(ascii: "b"): try appendBandwidth(value)
        case UInt8(ascii: "v"), UInt8(ascii: "o"), UInt8(ascii: "s"): throw refusal(.malformedLine)
        default: break
        }
    }

    private mutating func readPreamble(_ letter: UInt8, _ value: String) throws(SDPError) {
        switch (lineNumber, letter) {
        case (1, UInt8(ascii: "v")):
            guard value == "0" else { throw refusal(.missingPreamble) }
        case (2, UInt8(ascii: "o")):
            origin = try parseOrigin(value)
        case (3, UInt8(ascii: "s")):
            guard let origin else { throw refusal(.missingPreamble) }
            description = SessionDescription(origin: origin, name: value)
        default:
            throw refusal(.missingPreamble)
        }
    }

    private func parseOrigin(_ value: String) throws(SDPError) -> SessionDescription.Origin {
        let fields = value.sdpFields(maxSplits: 3)
        guard fields.count == 4, let sessionID = UInt64(sdpDigits: fields[1]),
            let version = UInt64(sdpDigits: fields[2])
        else { throw refusal(.malformedLine) }
        return SessionDescription.Origin(
            username: String(fields[0]), sessionID: sessionID, version: version, address: String(fields[3]))
    }

    private mutating func appendSection(_ value: String) throws(SDPError) {
        let fields = value.sdpFields()
        guard fields.count >= 4 else { throw refusal(.malformedLine) }
        // "<port>/<count>" asks for several ports; ICE makes the port meaningless, so only its being zero counts.
        guard let portText = fields[1].split(separator: "/", maxSplits: 1).first, let port = UInt16(sdpDigits: portText)
        else { throw refusal(.malformedLine) }
        guard fields.count - 3 <= Limit.formats else { throw refusal(.tooManyFormats(limit: Limit.formats)) }
        guard let count = description?.media.count, count < Limit.sections else {
            throw refusal(.tooManySections(limit: Limit.sections))
        }
        description?.media.append(
            MediaDescription(
                kind: MediaDescription.Kind(String(fields[0])), port: port, transportProtocol: String(fields[2]),
                formats: fields.dropFirst(3).map(String.init)))
    }

    private mutating func appendAttribute(_ value: String) throws(SDPError) {
        let attribute: SDPAttribute
        if let colon = value.utf8.firstIndex(of: UInt8(ascii: ":")) {
            let name = SDPAttribute.Name(rawValue: String(value[..<colon]))
            attribute = SDPAttribute(name, String(value[value.utf8.index(after: colon)...]))
        } else {
            attribute = SDPAttribute(SDPAttribute.Name(rawValue: value))
        }
        guard !attribute.name.rawValue.isEmpty else { throw refusal(.malformedLine) }
        if let last = description?.media.indices.last {
            guard description?.media[last].attributes.count ?? 0 < Limit.attributes else {
                throw refusal(.tooManyAttributes(limit: Limit.attributes))
            }
            description?.media[last].attributes.append(attribute)
        } else {
            guard description?.attributes.count ?? 0 < Limit.sessionAttributes else {
                throw refusal(.tooManyAttributes(limit: Limit.sessionAttributes))
            }
            description?.attributes.append(attribute)
        }
    }

    private mutating func setConnection(_ value: String) {
        if let last = description?.media.indices.last {
            description?.media[last].connection = value
        } else {
            description?.connection = value
        }
    }

    private mutating func appendBandwidth(_ value: String) throws(SDPError) {
        if let last = description?.media.indices.last {
            guard description?.media[last].bandwidths.count ?? 0 < Limit.attributes else {
                throw refusal(.tooManyAttributes(limit: Limit.attributes))
            }
            description?.media[last].bandwidths.append(value)
        } else {
            guard description?.bandwidths.count ?? 0 < Limit.attributes else {
                throw refusal(.tooManyAttributes(limit: Limit.attributes))
            }
            description?.bandwidths.append(value)
        }
    }
}
