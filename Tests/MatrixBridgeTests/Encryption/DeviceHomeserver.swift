// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Foundation
import MatrixBridge
import OlmE2EE

/// The part of a homeserver that devices talk to, in memory: their keys, and messages between them.
actor DeviceHomeserver: HTTPTransport {
    private var devices: [String: [String: JSONObject]] = [:]
    private var crossSigning: [String: JSONObject] = [:]
    private var oneTimeKeys: [String: JSONObject] = [:]
    private var inboxes: [String: [JSONValue]] = [:]
    private(set) var requests: [String] = []
    /// How requests whose line begins so are answered instead, and how often.
    private var refusals: [(line: String, answer: HTTPClientResponse, times: Int)] = []

    /// A server whose part of every answer about keys is such that nobody can read the whole.
    private var spoiler: String?

    func spoilAnswers(about server: String) {
        spoiler = server
    }

    func refuse(_ line: String, with answer: HTTPClientResponse, times: Int = 1) {
        refusals.append((line, answer, times))
    }

    /// For a transaction instead of a sync.
    func takeMessages(to device: DeviceAddress) -> [JSONValue] {
        inboxes.removeValue(forKey: "\(device.user) \(device.device)") ?? []
    }

    /// As if others had claimed them all.
    func takeOneTimeKeys(of user: UserID) {
        for name in devices[user.rawValue, default: [:]].keys { oneTimeKeys["\(user) \(name)"] = [:] }
    }

    /// As if somebody had deleted the device.
    func forget(_ user: UserID) {
        devices[user.rawValue] = nil
    }

    func send(_ request: HTTPClientRequest) async throws(HTTPClientError) -> HTTPClientResponse {
        guard let url = URLComponents(string: request.url), let query = url.queryItems,
            let user = query.first(where: { $0.name == "user_id" })?.value
        else { throw .invalidRequest("no user") }
        let device = query.first { $0.name == "device_id" }?.value ?? ""
        let path = url.path.split(separator: "/").map(String.init).dropFirst(3)
        let body = request.body.flatMap { try? JSONValue.parse($0) }
        let line = "\(request.method.rawValue) \(path.joined(separator: "/"))"
        requests.append(line)
        if let index = refusals.firstIndex(where: { line.hasPrefix($0.line) && $0.times > 0 }) {
            refusals[index].times -= 1
            return refusals[index].answer
        }
        if let device = query.first(where: { $0.name == "device_id" })?.value, devices[user]?[device] == nil {
            return .error(400, "M_UNKNOWN_DEVICE")
        }
        switch (request.method, path.first, path.dropFirst().joined(separator: "/")) {
        case (.put, "devices", let name): devices[user, default: [:]][name] = [:]
        case (.delete, "devices", let name): devices[user]?[name] = nil
        case (.post, "keys", "upload"):
            if let keys = body?["device_keys"]?.object { devices[user]?[device] = keys }
            oneTimeKeys["\(user) \(device)", default: [:]].merge(body?["one_time_keys"]?.object ?? [:]) { $1 }
        case (.post, "keys", "device_signing/upload"):
            for (name, key) in body?.object ?? [:] { crossSigning["\(name)s", default: [:]][user] = key }
        case (.post, "keys", "signatures/upload"): sign(body?[user]?.object ?? [:], of: user)
        case (.post, "keys", "query"), (.post, "keys", "claim"):
            if let spoiler, request.body.map({ String(decoding: $0, as: UTF8.self) })?.contains(":" + spoiler) == true {
                return HTTPClientResponse(status: 200, body: [UInt8](repeating: UInt8(ascii: "["), count: 10_000))
            }
            if path.last == "claim" { return .json(claim(body?["one_time_keys"]?.object ?? [:])) }
            return .json(.object(self.query(body?["device_keys"]?.object ?? [:])))
        case (.put, "sendToDevice", let rest):
            deliver(body?["messages"]?.object ?? [:], type: rest.split(separator: "/").first ?? "", from: user)
        case (.get, "sync", _):
            let events = inboxes.removeValue(forKey: "\(user) \(device)") ?? []
            return .json(
                .object([
                    "next_batch": .string("s\(requests.count)"), "to_device": .object(["events": .array(events)]),
                    "device_one_time_keys_count": .object([
                        "signed_curve25519": .integer(Int64(oneTimeKeys["\(user) \(device)"]?.count ?? 0))
                    ]),
                ]))
        default: return .error(404, "M_UNRECOGNIZED")
        }
        return .json(.object([:]))
    }

    private func sign(_ signed: JSONObject, of user: String) {
        for (name, object) in signed {
            guard var keys = devices[user]?[name] else { continue }
            var signatures = keys["signatures"]?[user]?.object ?? [:]
            signatures.merge(object["signatures"]?[user]?.object ?? [:]) { $1 }
            keys["signatures"] = .object([user: .object(signatures)])
            devices[user]?[name] = keys
        }
    }

    private func query(_ users: JSONObject) -> JSONObject {
        var answer = crossSigning.mapValues { keys in JSONValue.object(keys.filter { users[$0.key] != nil }) }
        // A device without keys is not named.
        let found = users.map { user, _ in
            (user, JSONValue.object((devices[user] ?? [:]).filter { !$0.value.isEmpty }.mapValues { .object($0) }))
        }
        answer["device_keys"] = .object(JSONObject(uniqueKeysWithValues: found))
        return answer
    }

    private func claim(_ wanted: JSONObject) -> JSONValue {
        var given: JSONObject = [:]
        for (user, names) in wanted {
            var keys: JSONObject = [:]
            for name in (names.object ?? [:]).keys {
                guard let key = oneTimeKeys["\(user) \(name)"]?.first else { continue }
                oneTimeKeys["\(user) \(name)"]?[key.key] = nil
                keys[name] = .object([key.key: key.value])
            }
            given[user] = .object(keys)
        }
        return .object(["one_time_keys": .object(given)])
    }

    private func deliver(_ messages: JSONObject, type: Substring, from sender: String) {
        for (user, contents) in messages {
            for (device, content) in contents.object ?? [:] {
                inboxes["\(user) \(device)", default: []].append(
                    .object(["type": .string(String(type)), "sender": .string(sender), "content": content]))
            }
        }
    }
}
