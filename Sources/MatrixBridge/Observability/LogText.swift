// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Logging

/// Text of a log line as it may be written: clients choose some of it, and must neither begin lines of their own nor
/// speak to the terminal that shows them.
enum LogText {
    /// Bytes of one value.
    static let maximumBytes = 1_024

    /// The text with a question mark for each control character or line separator, and cut when it is long.
    static func printable(_ text: String) -> String {
        guard text.utf8.count > maximumBytes || text.unicodeScalars.contains(where: isControl) else { return text }
        var printable = String.UnicodeScalarView()
        var byteCount = 0
        for scalar in text.unicodeScalars {
            byteCount += UTF8.width(scalar)
            guard byteCount <= maximumBytes else {
                printable.append("…")
                break
            }
            printable.append(isControl(scalar) ? "?" : scalar)
        }
        return String(printable)
    }

    /// C0, DEL and C1; separators of lines and paragraphs; marks that turn the direction of writing.
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}

extension Logger.MetadataValue {
    /// The same value with printable texts only.
    var printable: Logger.MetadataValue {
        switch self {
        case .array(let values): .array(values.map(\.printable))
        case .dictionary(let values): .dictionary(values.mapValues(\.printable))
        default: .string(LogText.printable(description))
        }
    }
}
