// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// Why a request to the homeserver gave no usable answer.
package enum MatrixClientError: Error, Equatable, Sendable, CustomStringConvertible {
    case noAnswer(HTTPClientError)
    case refused(MatrixError)
    /// A success whose body is not what the specification says.
    case unexpectedAnswer(request: String)

    package var description: String {
        switch self {
        case .noAnswer(let error): "no answer: \(error)"
        case .refused(let error): "HTTP \(error.status) \(error.code.rawValue): \(error.message)"
        case .unexpectedAnswer(let request): "an answer to \(request) that does not follow the specification"
        }
    }

    /// The homeserver is down, overloaded or behind a proxy that cannot reach it: trying later may help.
    package var isTransient: Bool {
        switch self {
        case .noAnswer(.invalidRequest), .noAnswer(.addressRefused), .noAnswer(.cancelled), .noAnswer(.closed): false
        case .noAnswer: true
        case .refused(let error): error.status >= 500 || error.status == 429
        case .unexpectedAnswer: false
        }
    }

    /// One of those whom we asked about may have spoilt the whole by its part of the answer. A server that is silent
    /// does not: the homeserver waits for a shorter time than we do.
    package var mayBeSpoilt: Bool {
        switch self {
        case .unexpectedAnswer, .noAnswer(.bodyTooLarge): true
        case .refused(let error): error.status == 500
        case .noAnswer: false
        }
    }
}

/// The homeserver's APIs as an application service sees them: every request carries the `as_token` and may assert one
/// of our users (Application Service API, "Identity assertion").
package struct MatrixClient: Sendable {
    /// The user, and if wanted the device, in whose name a request is made.
    package struct Masquerade: Equatable, Sendable {
        package var userID: UserID
        package var deviceID: DeviceID?

        package init(userID: UserID, deviceID: DeviceID? = nil) {
            self.userID = userID
            self.deviceID = deviceID
        }
    }

    /// Who an access token belongs to.
    package struct Identity: Equatable, Sendable {
        package var userID: UserID
        package var deviceID: DeviceID?
    }

    /// What the homeserver speaks.
    package struct Versions: Equatable, Sendable {
        package var versions: [String]
        /// Unstable features that are on.
        package var features: Set<String>
    }

    private let transport: any HTTPTransport
    /// Without a slash at the end.
    private let baseURL: String
    private let asToken: String

    package init(transport: any HTTPTransport, baseURL: String, asToken: String) {
        self.transport = transport
        self.baseURL = baseURL.hasSuffix("/") ? String(baseURL.dropLast()) : baseURL
        self.asToken = asToken
    }

    /// `GET /_matrix/client/versions`.
    package func versions() async throws(MatrixClientError) -> Versions {
        let answer = try await call(.get, ["client", "versions"])
        guard let versions = answer["versions"]?.array else { throw .unexpectedAnswer(request: "versions") }
        let features = (answer["unstable_features"]?.object ?? [:]).filter { $0.value.bool == true }
        return Versions(versions: versions.compactMap(\.string), features: Set(features.keys))
    }

    /// `GET /_matrix/client/v3/account/whoami`.
    package func whoami(as masquerade: Masquerade? = nil) async throws(MatrixClientError) -> Identity {
        let answer = try await call(.get, ["client", "v3", "account", "whoami"], as: masquerade)
        guard let userID = answer["user_id"]?.string.flatMap(UserID.init) else {
            throw .unexpectedAnswer(request: "whoami")
        }
        return Identity(userID: userID, deviceID: answer["device_id"]?.string.flatMap(DeviceID.init))
    }

    /// `POST /_matrix/client/v1/appservice/{id}/ping`: the homeserver calls our ping route and says how long it took.
    ///
    /// - Returns: milliseconds.
    package func ping(appServiceID: String, transactionID: String) async throws(MatrixClientError) -> Int64 {
        let answer = try await call(
            .post, ["client", "v1", "appservice", appServiceID, "ping"],
            body: .object(["transaction_id": .string(transactionID)]))
        guard let duration = answer["duration_ms"]?.integer else { throw .unexpectedAnswer(request: "ping") }
        return duration
    }

    /// Registers a user of our namespace; one that exists already is fine.
    ///
    /// `M_APPSERVICE_LOGIN_UNSUPPORTED` also means that the user exists now: a homeserver may create the user and then
    /// refuse the device that old versions of this request ask for (MSC4190).
    package func register(localpart: String) async throws(MatrixClientError) {
        do {
            _ = try await call(
                .post, ["client", "v3", "register"],
                body: .object([
                    "type": .string("m.login.application_service"),
                    "username": .string(localpart),
                    "inhibit_login": .bool(true),
                ]))
        } catch .refused(let error) where error.code == .userInUse || error.code == .loginUnsupported {
            return
        }
    }

    /// `GET /rooms/{roomId}/joined_members`; 403 when the asserted user is not in the room.
    package func joinedMembers(
        of room: RoomID, as masquerade: Masquerade?,
    ) async throws(MatrixClientError) -> Set<UserID> {
        let answer = try await call(
            .get, ["client", "v3", "rooms", room.rawValue, "joined_members"], as: masquerade,
            maximumBodyByteCount: 32 << 20)
        guard let joined = answer["joined"]?.object else { throw .unexpectedAnswer(request: "joined_members") }
        return Set(joined.keys.compactMap(UserID.init))
    }

    /// Whether a user is joined, by MSC4502; 403 without the registration's scope, 404 where it is unknown.
    package func isJoined(_ user: UserID, in room: RoomID) async throws(MatrixClientError) -> Bool {
        let answer = try await call(
            .get, ["client", "unstable", "io.element.msc4502", "rooms", room.rawValue, "is_joined"],
            query: [("mxid", user.rawValue)])
        guard let joined = answer["joined"]?.bool else { throw .unexpectedAnswer(request: "is_joined") }
        return joined
    }

    /// The content of one state event; 404 when there is none.
    package func state(
        ofType type: String, key: String = "", in room: RoomID, as masquerade: Masquerade?,
    ) async throws(MatrixClientError) -> JSONObject {
        let answer = try await call(
            .get, ["client", "v3", "rooms", room.rawValue, "state", type, key], as: masquerade)
        guard let content = answer.object else { throw .unexpectedAnswer(request: "state") }
        return content
    }

    /// One whole state event with an empty key; nil when there is none, or when it cannot be read.
    ///
    /// Some homeservers do not know the format and answer the content alone, without the sender. A creation is read
    /// then only if it names the creator, who decides; of the other events it does not matter who sent them.
    ///
    package func stateEvent(
        ofType type: String, in room: RoomID, as masquerade: Masquerade?,
    ) async throws(MatrixClientError) -> RoomEvent? {
        do throws(MatrixClientError) {
            let answer = try await call(
                .get, ["client", "v3", "rooms", room.rawValue, "state", type, ""], query: [("format", "event")],
                as: masquerade)
            return (try? RoomEvent.decode(answer).get())
                ?? Self.stateEvent(ofType: type, in: room, content: answer, reader: masquerade?.userID)
        } catch .refused(let error) where error.code == .notFound {
            return nil
        }
    }

    private static func stateEvent(
        ofType type: String, in room: RoomID, content: JSONValue, reader: UserID?,
    ) -> RoomEvent? {
        let creator = content["creator"]?.string.flatMap(UserID.init)
        guard let content = content.object, content["event_id"] == nil, let eventID = EventID("$unknown"),
            let sender = type == "m.room.create" ? creator : reader
        else { return nil }
        return RoomEvent(
            type: type, sender: sender, roomID: room, eventID: eventID, stateKey: "", originServerTimestamp: 0,
            content: content)
    }

    /// `POST /join/{roomId}`: accepts an invitation, or joins a public room; fine when joined already.
    package func join(_ room: RoomID, as masquerade: Masquerade) async throws(MatrixClientError) {
        // The homeserver may have to fetch the room from another one first.
        _ = try await call(
            .post, ["client", "v3", "join", room.rawValue], body: .object([:]), as: masquerade,
            timeoutMilliseconds: 120_000)
    }

    /// `POST /rooms/{roomId}/leave`: also declines an invitation; fine when the user is out already.
    package func leave(_ room: RoomID, as masquerade: Masquerade) async throws(MatrixClientError) {
        _ = try await call(
            .post, ["client", "v3", "rooms", room.rawValue, "leave"], body: .object([:]), as: masquerade,
            timeoutMilliseconds: 60_000)
    }

    /// `GET /joined_rooms`.
    package func joinedRooms(as masquerade: Masquerade) async throws(MatrixClientError) -> [RoomID] {
        let answer = try await call(
            .get, ["client", "v3", "joined_rooms"], as: masquerade, maximumBodyByteCount: 8 << 20)
        guard let rooms = answer["joined_rooms"]?.array else { throw .unexpectedAnswer(request: "joined_rooms") }
        return rooms.compactMap { $0.string.flatMap(RoomID.init) }
    }

    /// `GET /rooms/{roomId}/state`: every current state event; 403 when the user was never in the room.
    package func state(of room: RoomID, as masquerade: Masquerade) async throws(MatrixClientError) -> [JSONValue] {
        let answer = try await call(
            .get, ["client", "v3", "rooms", room.rawValue, "state"], as: masquerade, maximumBodyByteCount: 32 << 20,
            timeoutMilliseconds: 60_000)
        guard let events = answer.array else { throw .unexpectedAnswer(request: "state") }
        return events
    }

    /// `GET rtc/transports` (MSC4143): what the homeserver tells its clients about call focuses.
    package func rtcTransports(as masquerade: Masquerade?) async throws(MatrixClientError) -> [JSONValue] {
        let answer = try await call(
            .get, ["client", "unstable", "org.matrix.msc4143", "rtc", "transports"], as: masquerade)
        guard let transports = answer["rtc_transports"]?.array else {
            // A homeserver with the feature on and nothing configured answers an empty object.
            guard answer.object?.isEmpty == true else { throw .unexpectedAnswer(request: "rtc/transports") }
            return []
        }
        return transports
    }

    func call(
        _ method: HTTPClientRequest.Method, _ path: [String], query: [(String, String)] = [], body: JSONValue? = nil,
        as masquerade: Masquerade? = nil, maximumBodyByteCount: Int = 1 << 20, timeoutMilliseconds: Int = 10_000,
    ) async throws(MatrixClientError) -> JSONValue {
        var query = query
        if let masquerade {
            query.append(("user_id", masquerade.userID.rawValue))
            if let deviceID = masquerade.deviceID {
                query.append(("device_id", deviceID.rawValue))
                // Homeservers before the stable spelling know only this one.
                query.append(("org.matrix.msc3202.device_id", deviceID.rawValue))
            }
        }
        var request = HTTPClientRequest(method, URLText.join(baseURL + "/_matrix", path, query: query))
        request.headers = [HTTPClientField("Authorization", "Bearer \(asToken)")]
        if let body {
            request.headers.append(HTTPClientField("Content-Type", "application/json"))
            request.body = body.compactJSON
        }
        request.maximumBodyByteCount = maximumBodyByteCount
        request.timeoutMilliseconds = timeoutMilliseconds
        let response: HTTPClientResponse
        do throws(HTTPClientError) {
            response = try await transport.send(request)
        } catch {
            throw .noAnswer(error)
        }
        guard (200..<300).contains(response.status) else { throw .refused(MatrixError(refusal: response)) }
        let limits = JSONLimits(byteCount: maximumBodyByteCount, valueCount: 1 << 20)
        guard let answer = try? JSONValue.parse(response.body, limits: limits) else {
            throw .unexpectedAnswer(request: path.last ?? "")
        }
        return answer
    }
}
