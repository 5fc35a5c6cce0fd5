// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Who may send a long body to the server API.
extension RoomServiceRoutes {
    /// Lets in whose token is good for one of the calls that can be long; the answer to others is that of the call.
    func admission(_ request: HTTPRequest) -> HTTPResponse? {
        do throws(TokenRefusal) {
            let token = try AccessTokenVerifier.token(
                authorization: request.headers.first(name: "Authorization"), parameter: nil)
            let grant = try verifier.verify(token, now: UnixClock.seconds()).grant
            return grant.roomAdmin || grant.roomCreate ? nil : Self.failure(.permissionDenied)
        } catch {
            return .text(error.responseBody, status: .unauthorized)
        }
    }
}
