// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

extension TokenExchangeRefusal {
    /// What a program can act on, beside `errcode` and the sentence: a reason code for every refusal, and the levels.
    package var details: JSONObject {
        var details: JSONObject = ["callbridge.reason": .string(reason.rawValue)]
        switch self {
        case .levelTooLow(let has, let needs, let event):
            if case .value(let level) = has { details["callbridge.level"] = .integer(level) }
            if case .value(let level) = needs { details["callbridge.level_needed"] = .integer(level) }
            if let event { details["callbridge.event_type"] = .string(event) }
        case .roomReplaced(let replacement):
            if let replacement { details["callbridge.replacement_room"] = .string(replacement.rawValue) }
        case .callsNotAllowed(let rule), .userNotAllowed(let rule):
            details["callbridge.rule"] = .string(rule)
        case .limitReached(let subject, let limit):
            details["callbridge.subject"] = .string(subject.rawValue)
            details["callbridge.limit"] = .integer(Int64(limit))
        case .rateLimited(_, let scope):
            details["callbridge.scope"] = .string(scope.rawValue)
        default: break
        }
        return details
    }

    /// The refusal as clients get it.
    package var answer: MatrixError {
        var error = matrixError
        error.details = details
        return error
    }
}
