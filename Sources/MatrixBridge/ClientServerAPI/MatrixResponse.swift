// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import NIOHTTP1

extension HTTPResponse {
    /// A success with a JSON body.
    static func matrix(_ body: JSONValue) -> HTTPResponse {
        .json(body.compactJSON)
    }

    /// The standard error response; `Retry-After` in whole seconds beside `retry_after_ms`.
    static func matrix(_ error: MatrixError) -> HTTPResponse {
        var response = HTTPResponse.json(error.body.compactJSON, status: .init(statusCode: error.status))
        if let milliseconds = error.retryAfterMilliseconds {
            response.headers.add(name: "Retry-After", value: String((milliseconds + 999) / 1_000))
        }
        return response
    }
}
