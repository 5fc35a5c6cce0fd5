// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// Devices, their keys and messages between them (Client-Server API, "End-to-End Encryption" and "Send-to-Device").
extension MatrixClient {
    private static let keysByteCount = 32 << 20

    /// `PUT /devices/{deviceId}`: makes the device if there is none (MSC4190), or renames it.
    package func putDevice(
        _ device: DeviceID, named name: String, of user: UserID,
    ) async throws(MatrixClientError) {
        _ = try await call(
            .put, ["client", "v3", "devices", device.rawValue], body: .object(["display_name": .string(name)]),
            as: .init(userID: user))
    }

    /// `DELETE /devices/{deviceId}`, without interactive authentication (MSC4190).
    package func deleteDevice(_ device: DeviceID, of user: UserID) async throws(MatrixClientError) {
        _ = try await call(.delete, ["client", "v3", "devices", device.rawValue], as: .init(userID: user))
    }

    /// `POST /keys/…`: upload, query, claim, `device_signing/upload` and `signatures/upload`.
    package func keys(
        _ path: [String], _ body: JSONObject, as masquerade: Masquerade,
    ) async throws(MatrixClientError) -> JSONValue {
        // A homeserver asks others meanwhile, and waits ten seconds for them.
        try await call(
            .post, ["client", "v3", "keys"] + path, body: .object(body), as: masquerade,
            maximumBodyByteCount: Self.keysByteCount, timeoutMilliseconds: 30_000)
    }

    /// `PUT /sendToDevice/{eventType}/{txnId}`.
    ///
    /// - Parameter transactionID: The same for a repetition, which then has no second effect.
    package func sendToDevice(
        _ type: String, _ messages: JSONObject, as masquerade: Masquerade, transactionID: String,
    ) async throws(MatrixClientError) {
        _ = try await call(
            .put, ["client", "v3", "sendToDevice", type, transactionID],
            body: .object(["messages": .object(messages)]), as: masquerade)
    }

    /// `GET /sync` for what concerns the device alone, without waiting.
    package func syncDevice(
        since token: String?, as masquerade: Masquerade,
    ) async throws(MatrixClientError) -> JSONValue {
        let filter = #"{"room":{"rooms":[]},"presence":{"types":[]},"account_data":{"types":[]}}"#
        return try await call(
            .get, ["client", "v3", "sync"],
            query: [("filter", filter), ("timeout", "0"), ("set_presence", "offline")]
                + (token.map { [("since", $0)] } ?? []),
            as: masquerade, maximumBodyByteCount: Self.keysByteCount, timeoutMilliseconds: 60_000)
    }
}
