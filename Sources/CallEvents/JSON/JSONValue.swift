// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The members of a JSON object. Order is not kept: Matrix gives it no meaning.
package typealias JSONObject = [String: JSONValue]

/// One JSON value of an event, already checked for size and depth.
///
/// Numbers without fraction and exponent that fit are ``integer(_:)``, because Matrix numbers are integers
/// (Matrix specification, "Canonical JSON"); everything else numeric is ``number(_:)``.
package enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    package var string: String? {
        guard case .string(let value) = self else { return nil }
        return value
    }

    package var bool: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }

    /// The value as an integer; a number written as `1e3` or `5.0` counts, `5.5` does not.
    package var integer: Int64? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int64(exactly: value)
        case .null, .bool, .string, .array, .object: nil
        }
    }

    package var array: [JSONValue]? {
        guard case .array(let value) = self else { return nil }
        return value
    }

    package var object: JSONObject? {
        guard case .object(let value) = self else { return nil }
        return value
    }

    /// The member of an object; nil for a missing member and for any other kind of value.
    package subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members[key]
    }
}

extension JSONObject {
    /// A string member of at most `limit` bytes of UTF-8.
    ///
    /// - Throws: `missing` when the member is absent or no string, ``EventRefusal/oversizeField`` when it is longer.
    func requiredText(
        _ key: String,
        orRefuse missing: EventRefusal,
        upTo limit: Int = MatrixText.maximumByteCount,
    ) throws(EventRefusal) -> String {
        guard let text = self[key]?.string else { throw missing }
        guard text.utf8.count <= limit else { throw .oversizeField }
        return text
    }

    /// A string member of at most `limit` bytes, or nil when it is absent, no string or longer.
    func text(_ key: String, upTo limit: Int = MatrixText.maximumByteCount) -> String? {
        guard let text = self[key]?.string, text.utf8.count <= limit else { return nil }
        return text
    }
}
