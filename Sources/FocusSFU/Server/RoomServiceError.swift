// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A refused administrative call, with its Twirp code and the HTTP status that goes with it.
package struct RoomServiceError: Error, Equatable, Sendable {
    package enum Code: String, Sendable {
        case invalidArgument = "invalid_argument"
        case malformed
        case unauthenticated
        case notFound = "not_found"
        case failedPrecondition = "failed_precondition"
        case resourceExhausted = "resource_exhausted"
        case unimplemented
        case internalError = "internal"
        case badRoute = "bad_route"
    }

    package var code: Code
    package var message: String

    package var httpStatus: Int {
        switch code {
        case .invalidArgument, .malformed: 400
        case .unauthenticated: 401
        case .notFound, .badRoute: 404
        case .failedPrecondition: 412
        case .resourceExhausted: 429
        case .internalError: 500
        case .unimplemented: 501
        }
    }

    package static func invalidArgument(_ message: String) -> Self { Self(code: .invalidArgument, message: message) }
    package static func notFound(_ message: String) -> Self { Self(code: .notFound, message: message) }
    package static func resourceExhausted(_ message: String) -> Self {
        Self(code: .resourceExhausted, message: message)
    }
    package static func internalError(_ message: String) -> Self { Self(code: .internalError, message: message) }
    static let permissionDenied = Self(code: .unauthenticated, message: "permissions denied")
}
