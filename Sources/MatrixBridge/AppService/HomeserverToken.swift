// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The `hs_token` with which the homeserver proves itself to us (Application Service API, "Authorization").
package struct HomeserverToken: Sendable {
    private let token: String

    package init(_ token: String) {
        self.token = token
    }

    /// - Parameter presented: The bearer token of the request. A token in the query is not looked at, because queries
    ///   end up in the logs of proxies.
    package func check(_ presented: String?) throws(MatrixError) {
        guard let presented, !presented.isEmpty else {
            throw MatrixError(status: 401, code: .missingToken, message: "the request carries no bearer token")
        }
        guard SecureHash.areEqual(presented, token) else {
            throw MatrixError(
                status: 403, code: .forbidden,
                message: "the token is not the hs_token of the registration that this service was started with")
        }
    }
}
