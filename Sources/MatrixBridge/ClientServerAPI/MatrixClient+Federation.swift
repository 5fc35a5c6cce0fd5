// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// What only the second registration may ask.
extension MatrixClient {
    /// Whether any user of a server is joined, by MSC4502.
    package func isJoined(_ server: ServerName, in room: RoomID) async throws(MatrixClientError) -> Bool {
        let answer = try await call(
            .get, ["client", "unstable", "io.element.msc4502", "rooms", room.rawValue, "is_joined"],
            query: [("server_name", server.rawValue)])
        guard let joined = answer["joined"]?.bool else { throw .unexpectedAnswer(request: "is_joined") }
        return joined
    }

    /// A request to another homeserver, signed by ours (MSC4512).
    ///
    /// - Returns: What the other one answered, whatever its status.
    package func federationRequest(
        to server: ServerName, path: String, body: JSONValue,
    ) async throws(MatrixClientError) -> (status: Int, content: JSONValue) {
        let answer = try await call(
            .post, ["client", "unstable", "io.element.msc4512", "appservice", "fed_proxy"],
            body: .object([
                "destination": .string(server.rawValue), "method": .string("POST"), "path": .string(path), "body": body,
            ]), timeoutMilliseconds: 25_000)
        guard let status = answer["status"]?.integer else { throw .unexpectedAnswer(request: "fed_proxy") }
        return (Int(clamping: status), answer["content"] ?? .null)
    }
}
