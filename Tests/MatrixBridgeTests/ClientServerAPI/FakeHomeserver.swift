// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Foundation
import MatrixBridge
import Testing

/// Homeservers in memory behind ``HTTPTransport``: one client API of our own and the federation APIs of any others.
actor FakeHomeserver: HTTPTransport {
    static let localBaseURL = "http://hs.internal:8008"
    static let local = Identifier.server("example.com")
    static let bot = Identifier.user("@callbot:example.com")
    static let asToken = "as-token"
    static let rtcToken = "rtc-token"

    /// OpenID tokens by the base URL of the server that made them, with the `sub` it answers.
    var openIDTokens: [String: [String: String]] = [:]
    var members: [RoomID: Set<UserID>] = [:]
    /// Answers that come before all others, by a part of the URL.
    var overrides: [(part: String, answer: Result<HTTPClientResponse, HTTPClientError>)] = []
    private(set) var requests: [HTTPClientRequest] = []

    func set(_ token: String, on base: String = localBaseURL, belongsTo user: String) {
        openIDTokens[base, default: [:]][token] = user
    }

    func join(_ user: UserID, _ room: RoomID) {
        members[room, default: []].insert(user)
    }

    func answer(_ part: String, with answer: Result<HTTPClientResponse, HTTPClientError>) {
        overrides.removeAll { $0.part == part }
        overrides.append((part, answer))
    }

    func removeAnswers() {
        overrides = []
    }

    func requestCount(of part: String) -> Int {
        requests.count { $0.url.contains(part) }
    }

    func send(_ request: HTTPClientRequest) async throws(HTTPClientError) -> HTTPClientResponse {
        requests.append(request)
        if let override = overrides.first(where: { request.url.contains($0.part) }) {
            return try override.answer.get()
        }
        if let mark = request.url.range(of: "/_matrix/federation/v1/openid/userinfo?access_token=") {
            let user = openIDTokens[String(request.url[..<mark.lowerBound])]?[String(request.url[mark.upperBound...])]
            guard let user else { return .error(401, "M_UNKNOWN_TOKEN") }
            return .json(.object(["sub": .string(user)]))
        }
        guard request.url.hasPrefix(Self.localBaseURL) else { throw .nameNotResolved }
        return answerClient(request)
    }

    private func answerClient(_ request: HTTPClientRequest) -> HTTPClientResponse {
        let token = request.headers.first { $0.name == "Authorization" }?.value
        guard token == "Bearer \(Self.asToken)" || token == "Bearer \(Self.rtcToken)" else {
            return .error(401, "M_UNKNOWN_TOKEN")
        }
        let isRTC = token == "Bearer \(Self.rtcToken)"
        let url = request.url.replacing("%3A", with: ":").replacing("%40", with: "@").replacing("%21", with: "!")
        if url.hasSuffix("/whoami") {
            return .json(.object(["user_id": .string("@sender:example.com")]))
        }
        if url.hasSuffix("/register") {
            return .error(400, "M_USER_IN_USE")
        }
        if url.hasSuffix("/ping") {
            return .json(.object(["duration_ms": .integer(7)]))
        }
        for (room, joined) in members {
            if url.contains("/rooms/\(room)/is_joined?mxid=") {
                guard isRTC else { return .error(403, "M_FORBIDDEN") }
                return .json(.object(["joined": .bool(joined.contains { url.hasSuffix("mxid=\($0)") })]))
            }
            if url.contains("/rooms/\(room)/joined_members") {
                guard joined.contains(where: { url.hasSuffix("user_id=\($0)") }) else {
                    return .error(403, "M_FORBIDDEN")
                }
                let entries = joined.map { ($0.rawValue, JSONValue.object([:])) }
                return .json(.object(["joined": .object(JSONObject(uniqueKeysWithValues: entries))]))
            }
        }
        return url.contains("joined") ? .error(403, "M_FORBIDDEN") : .error(404, "M_UNRECOGNIZED")
    }
}

extension HTTPClientResponse {
    static func json(_ value: JSONValue, headers: [HTTPClientField] = []) -> Self {
        Self(status: 200, headers: headers, body: value.compactJSON)
    }

    static func error(_ status: Int, _ code: String) -> Self {
        let body = JSONValue.object(["errcode": .string(code), "error": .string("refused by the test")])
        return Self(status: status, body: body.compactJSON)
    }
}

/// Identifiers of tests; a malformed one fails the test and becomes another valid one.
enum Identifier {
    static func server(_ text: String) -> ServerName { make(text, or: "broken.test") }
    static func user(_ text: String) -> UserID { make(text, or: "@broken:broken.test") }
    static func room(_ text: String) -> RoomID { make(text, or: "!broken") }
    static func device(_ text: String) -> DeviceID { make(text, or: "BROKEN") }

    private static func make<ID: MatrixIdentifier>(_ text: String, or spare: String) -> ID {
        guard let identifier = ID(text) ?? ID(spare) else { preconditionFailure("\(spare) must be valid") }
        #expect(identifier.rawValue == text)
        return identifier
    }
}
