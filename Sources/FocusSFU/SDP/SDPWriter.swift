// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Writes a session description as text: CRLF lines in the order of RFC 8866 §9, times `0 0`.
package enum SDPWriter {
    package static func text(of description: SessionDescription) -> String {
        var text = ""
        text.reserveCapacity(512 + description.media.count * 2048)
        func line(_ letter: Character, _ value: String) {
            text.append(letter)
            text.append("=")
            text.append(value)
            text.append("\r\n")
        }
        func attributeLines(_ attributes: [SDPAttribute]) {
            for attribute in attributes {
                line("a", attribute.value.map { "\(attribute.name.rawValue):\($0)" } ?? attribute.name.rawValue)
            }
        }

        let origin = description.origin
        line("v", "0")
        line("o", "\(origin.username) \(origin.sessionID) \(origin.version) \(origin.address)")
        line("s", description.name)
        if let connection = description.connection { line("c", connection) }
        for bandwidth in description.bandwidths { line("b", bandwidth) }
        line("t", "0 0")
        attributeLines(description.attributes)
        for media in description.media {
            let formats = media.formats.joined(separator: " ")
            line("m", "\(media.kind.text) \(media.port) \(media.transportProtocol) \(formats)")
            if let connection = media.connection { line("c", connection) }
            for bandwidth in media.bandwidths { line("b", bandwidth) }
            attributeLines(media.attributes)
        }
        return text
    }
}
