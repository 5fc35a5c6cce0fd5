// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// Sending events, and delayed ones of others.
extension MatrixClient {
    /// `PUT /rooms/{roomId}/state/{eventType}/{stateKey}`.
    package func setState(
        ofType type: String, key: String, content: JSONObject, in room: RoomID, as masquerade: Masquerade,
    ) async throws(MatrixClientError) {
        _ = try await call(
            .put, ["client", "v3", "rooms", room.rawValue, "state", type, key], body: .object(content), as: masquerade)
    }

    /// `PUT /rooms/{roomId}/send/{eventType}/{txnId}`.
    ///
    /// - Parameters:
    ///   - transactionID: The same for a repetition, which then has no second effect.
    ///   - stickyMilliseconds: How long the event is sticky (MSC4354); nil when it is not.
    /// - Returns: the event's id.
    @discardableResult
    package func send(
        _ type: String, content: JSONObject, to room: RoomID, as masquerade: Masquerade, transactionID: String,
        stickyMilliseconds: Int? = nil,
    ) async throws(MatrixClientError) -> EventID {
        let answer = try await call(
            .put, ["client", "v3", "rooms", room.rawValue, "send", type, transactionID],
            query: stickyMilliseconds.map { [("org.matrix.msc4354.sticky_duration_ms", "\($0)")] } ?? [],
            body: .object(content), as: masquerade)
        guard let event = answer["event_id"]?.string.flatMap(EventID.init) else {
            throw .unexpectedAnswer(request: "send")
        }
        return event
    }

    /// `GET /directory/room/{roomAlias}`: the room that a name means now.
    ///
    /// - Returns: nil when there is none of the name.
    package func room(of alias: RoomAlias) async throws(MatrixClientError) -> RoomID? {
        do throws(MatrixClientError) {
            let answer = try await call(.get, ["client", "v3", "directory", "room", alias.rawValue])
            guard let room = answer["room_id"]?.string.flatMap(RoomID.init) else {
                throw .unexpectedAnswer(request: "directory/room")
            }
            return room
        } catch .refused(let error) where error.status == 404 {
            return nil
        }
    }

    /// `GET /devices` of a user that we may act for.
    package func devices(of user: UserID) async throws(MatrixClientError) -> Set<DeviceID> {
        let answer = try await call(.get, ["client", "v3", "devices"], as: .init(userID: user))
        guard let devices = answer["devices"]?.array else { throw .unexpectedAnswer(request: "devices") }
        return Set(devices.compactMap { $0["device_id"]?.string.flatMap(DeviceID.init) })
    }

    /// Below `/_matrix`.
    static let delayedEventsPath = ["client", "unstable", "org.matrix.msc4140", "delayed_events"]

    /// One delayed event of the asserted user (MSC4140); 404 `M_NOT_FOUND` when that user has none of the id.
    package func delayedEvent(
        _ delayID: String, as masquerade: Masquerade,
    ) async throws(MatrixClientError) -> JSONValue {
        try await call(.get, Self.delayedEventsPath + [delayID], as: masquerade, timeoutMilliseconds: 5_000)
    }

    /// The delayed events of the asserted user that wait, as the homeserver lists them.
    package func delayedEvents(
        as masquerade: Masquerade, timeoutMilliseconds: Int,
    ) async throws(MatrixClientError) -> [JSONValue] {
        let answer = try await call(
            .get, Self.delayedEventsPath, as: masquerade, timeoutMilliseconds: timeoutMilliseconds)
        // Synapse's name, and that of the proposal.
        return answer["delayed_events"]?.array ?? answer["scheduled"]?.array ?? []
    }

    /// `restart`, `send` or `cancel`.
    package func manageDelayedEvent(
        _ delayID: String, _ action: String, as masquerade: Masquerade, timeoutMilliseconds: Int,
    ) async throws(MatrixClientError) {
        _ = try await call(
            .post, Self.delayedEventsPath + [delayID, action], body: .object([:]), as: masquerade,
            timeoutMilliseconds: timeoutMilliseconds)
    }
}
