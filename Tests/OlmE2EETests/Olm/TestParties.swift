// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents

@testable import OlmE2EE

/// What a device remembers, in memory.
final class MemoryStore: OlmStore {
    private(set) var rows: [OlmRecord] = []

    func record(_ kind: OlmRecord.Kind, owner: String, key: String) -> OlmRecord? {
        rows.first { $0.kind == kind && $0.owner == owner && $0.key == key }
    }

    func records(_ kind: OlmRecord.Kind, owner: String) -> [OlmRecord] {
        rows.reversed().filter { $0.kind == kind && $0.owner == owner }.sorted { $0.touched > $1.touched }
    }

    func owners(_ kind: OlmRecord.Kind) -> [String] {
        Array(Set(rows.filter { $0.kind == kind }.map(\.owner)))
    }

    func count(_ kind: OlmRecord.Kind) -> Int { rows.count { $0.kind == kind } }

    func fullestOwner(_ kind: OlmRecord.Kind) -> (owner: String, count: Int)? {
        var counts: [String: Int] = [:]
        for record in rows where record.kind == kind { counts[record.owner, default: 0] += 1 }
        return counts.max { $0.value < $1.value }.map { ($0.key, $0.value) }
    }

    func put(_ record: OlmRecord) {
        remove(record.kind, owner: record.owner, key: record.key)
        rows.append(record)
    }

    /// One that is surely new.
    func append(_ record: OlmRecord) { rows.append(record) }

    func remove(_ kind: OlmRecord.Kind, owner: String, key: String) {
        rows.removeAll { $0.kind == kind && $0.owner == owner && $0.key == key }
    }

    func removeAll(_ kind: OlmRecord.Kind, owner: String) {
        rows.removeAll { $0.kind == kind && $0.owner == owner }
    }

    func trim(_ kind: OlmRecord.Kind, owner: String?, to count: Int) {
        let all = rows.filter { $0.kind == kind && (owner == nil || $0.owner == owner) }
        for record in all.sorted(by: { $0.touched > $1.touched }).dropFirst(count) {
            remove(record.kind, owner: record.owner, key: record.key)
        }
    }

    func removeOlder(_ kind: OlmRecord.Kind, than time: UnixMilliseconds) -> Int {
        let before = rows.count
        rows.removeAll { $0.kind == kind && $0.touched < time }
        return before - rows.count
    }

    func clear() {
        rows = []
    }
}

/// The keys that a homeserver holds for others: what it does with the requests of a device.
struct KeyServer {
    private(set) var devices: [String: JSONObject] = [:]
    private(set) var crossSigning: [String: JSONObject] = [:]
    private(set) var oneTimeKeys: [String: JSONObject] = [:]
    private(set) var fallbackKeys: [String: JSONObject] = [:]
    private(set) var usedFallbackKeys: Set<String> = []

    mutating func upload(_ body: JSONObject, of address: DeviceAddress) {
        let (user, name) = (address.user.rawValue, address.device.rawValue)
        if let keys = body["device_keys"] { devices[user, default: [:]][name] = keys }
        oneTimeKeys["\(address)", default: [:]].merge(body["one_time_keys"]?.object ?? [:]) { $1 }
        if let fallback = body["fallback_keys"]?.object {
            fallbackKeys["\(address)"] = fallback
            usedFallbackKeys.remove("\(address)")
        }
    }

    mutating func upload(_ identity: OlmDevice.CrossSigning, of user: UserID) {
        for (name, key) in identity.keys {
            crossSigning[name + "s", default: [:]][user.rawValue] = key
        }
        for (name, signed) in identity.signatures[user.rawValue]?.object ?? [:] {
            guard var device = devices[user.rawValue]?[name]?.object else { continue }
            var signatures = device["signatures"]?[user.rawValue]?.object ?? [:]
            signatures.merge(signed["signatures"]?[user.rawValue]?.object ?? [:]) { $1 }
            device["signatures"] = .object([user.rawValue: .object(signatures)])
            devices[user.rawValue]?[name] = .object(device)
        }
    }

    mutating func change(_ address: DeviceAddress, _ change: (inout JSONObject) -> Void) {
        guard var device = devices[address.user.rawValue]?[address.device.rawValue]?.object else { return }
        change(&device)
        devices[address.user.rawValue]?[address.device.rawValue] = .object(device)
    }

    mutating func forget(_ address: DeviceAddress) {
        devices[address.user.rawValue]?[address.device.rawValue] = nil
    }

    func query() -> JSONValue {
        .object(
            crossSigning.mapValues { .object($0) }.merging([
                "device_keys": .object(devices.mapValues { .object($0) })
            ]) { $1 })
    }

    func oneTimeKeyCount(of address: DeviceAddress) -> Int { oneTimeKeys["\(address)"]?.count ?? 0 }

    func unusedFallbackKeyTypes(of address: DeviceAddress) -> [String] {
        fallbackKeys["\(address)"] == nil || usedFallbackKeys.contains("\(address)") ? [] : ["signed_curve25519"]
    }

    mutating func claim(_ address: DeviceAddress) -> JSONValue {
        var given: JSONObject = [:]
        if let entry = oneTimeKeys["\(address)"]?.first {
            oneTimeKeys["\(address)"]?[entry.key] = nil
            given = [entry.key: entry.value]
        } else if let fallback = fallbackKeys["\(address)"] {
            usedFallbackKeys.insert("\(address)")
            given = fallback
        }
        return .object([
            "one_time_keys": .object([address.user.rawValue: .object([address.device.rawValue: .object(given)])])
        ])
    }
}

/// A device with its memory.
struct Party {
    var device: OlmDevice
    let store = MemoryStore()
    static let start: UnixMilliseconds = 1_790_000_000_000
    var now = Party.start

    init(_ user: String, _ name: String) throws {
        let address = DeviceAddress(user: try unwrapped(UserID(user)), device: try unwrapped(DeviceID(name)))
        device = try OlmDevice(creating: address, key: Party.key(), in: store, at: now)
    }

    static func key() throws -> PickleKey { try unwrapped(PickleKey([UInt8](repeating: 7, count: 32))) }

    /// Publishes everything a device publishes at first.
    mutating func publish(to server: inout KeyServer, crossSigned: Bool = true) throws {
        server.upload(["device_keys": .object(device.signedDeviceKeys)], of: device.address)
        try refill(at: &server)
        guard crossSigned else { return }
        server.upload(try device.makeCrossSigning(in: store, at: now), of: device.address.user)
    }

    /// - Returns: whether anything was uploaded.
    @discardableResult
    mutating func refill(at server: inout KeyServer) throws -> Bool {
        let body = try device.keyUpload(
            oneTimeKeyCount: server.oneTimeKeyCount(of: device.address),
            unusedFallbackKeyTypes: server.unusedFallbackKeyTypes(of: device.address), in: store, at: now)
        guard let body else { return false }
        server.upload(body, of: device.address)
        try device.keysWereUploaded(in: store, at: now)
        return true
    }

    /// Asks for everybody it wants to know.
    mutating func query(_ server: KeyServer) throws -> [ToDeviceOutcome] {
        try device.takeQuery(server.query(), for: device.takeUsersToQuery(at: now), in: store, at: now)
    }

    /// Makes sure that the devices of `users` are known.
    mutating func know(_ users: [UserID], from server: KeyServer) throws {
        try device.needDevices(of: users, in: store, at: now)
        _ = try query(server)
    }

    /// A new session to a device whose keys are known.
    mutating func claim(_ address: DeviceAddress, at server: inout KeyServer) throws -> [DeviceAddress: OlmRefusal] {
        let keys = try unwrapped(try device.device(address, in: store))
        return try device.takeClaim(server.claim(address), for: [keys], in: store, at: now)
    }

    /// An event for the other side, as its homeserver delivers it.
    mutating func event(_ type: String, _ content: JSONObject, to address: DeviceAddress) throws -> JSONValue {
        let keys = try unwrapped(try device.device(address, in: store))
        let encrypted = try unwrapped(try device.encrypt(type, content, to: keys, in: store))
        return .object([
            "type": .string("m.room.encrypted"), "sender": .string(device.address.user.rawValue),
            "content": .object(encrypted),
        ])
    }

    mutating func receive(_ event: JSONValue) throws -> ToDeviceOutcome {
        try device.receive(event, in: store, at: now)
    }
}

struct NothingThere: Error {}

func unwrapped<Value>(_ value: Value?) throws -> Value {
    guard let value else { throw NothingThere() }
    return value
}
