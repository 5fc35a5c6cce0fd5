// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// An `errcode` of the Matrix APIs. Open, because a homeserver may answer with codes that are not in this list.
package struct MatrixErrorCode: RawRepresentable, Hashable, Sendable {
    package let rawValue: String

    package init(rawValue: String) {
        self.rawValue = rawValue
    }

    package static let badJSON = Self(rawValue: "M_BAD_JSON")
    package static let forbidden = Self(rawValue: "M_FORBIDDEN")
    package static let invalidParameter = Self(rawValue: "M_INVALID_PARAM")
    package static let limitExceeded = Self(rawValue: "M_LIMIT_EXCEEDED")
    package static let loginUnsupported = Self(rawValue: "M_APPSERVICE_LOGIN_UNSUPPORTED")
    package static let missingToken = Self(rawValue: "M_MISSING_TOKEN")
    package static let notFound = Self(rawValue: "M_NOT_FOUND")
    package static let notJSON = Self(rawValue: "M_NOT_JSON")
    package static let tooLarge = Self(rawValue: "M_TOO_LARGE")
    package static let unauthorized = Self(rawValue: "M_UNAUTHORIZED")
    package static let unknown = Self(rawValue: "M_UNKNOWN")
    package static let unknownToken = Self(rawValue: "M_UNKNOWN_TOKEN")
    package static let unrecognized = Self(rawValue: "M_UNRECOGNIZED")
    package static let userInUse = Self(rawValue: "M_USER_IN_USE")
}

/// The standard error of the Matrix APIs: a status, an `errcode` and a sentence for people.
package struct MatrixError: Error, Equatable, Sendable {
    package var status: Int
    package var code: MatrixErrorCode
    package var message: String
    /// When to come back, with 429.
    package var retryAfterMilliseconds: UInt64?
    /// Further members of the body: of ours under names of our own, of a homeserver's those about delayed events.
    package var details: JSONObject = [:]

    package init(status: Int, code: MatrixErrorCode, message: String, retryAfterMilliseconds: UInt64? = nil) {
        self.status = status
        self.code = code
        self.message = message
        self.retryAfterMilliseconds = retryAfterMilliseconds
    }

    /// Reads a homeserver's refusal. A body that is no Matrix error (a proxy's page) has the code `M_UNKNOWN`.
    package init(refusal response: HTTPClientResponse) {
        let body = try? JSONValue.parse(response.body)
        // The header counts seconds and wins; anything beyond a year is nonsense either way.
        let header = response.header("Retry-After").flatMap { UInt64($0) }.map { min($0, 31_536_000) * 1_000 }
        let milliseconds = body?["retry_after_ms"]?.integer.flatMap { UInt64(exactly: $0) }
        self.init(
            status: response.status,
            code: body?["errcode"]?.string.map(MatrixErrorCode.init) ?? .unknown,
            message: body?["error"]?.string ?? "HTTP \(response.status) without a Matrix error",
            retryAfterMilliseconds: header ?? milliseconds,
        )
        details = (body?.object ?? [:]).filter { $0.key.hasPrefix("org.matrix.msc4140.") }
    }

    /// The body as the specification writes it ("Standard error response").
    package var body: JSONValue {
        var members = details
        members["errcode"] = .string(code.rawValue)
        members["error"] = .string(message)
        if let retryAfterMilliseconds {
            members["retry_after_ms"] = .integer(Int64(clamping: retryAfterMilliseconds))
        }
        return .object(members)
    }
}
