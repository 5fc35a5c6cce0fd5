// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents

/// The parts of a transaction or a sync that concern the bot's encrypted device, under their stable or unstable names
/// (MSC2409, MSC3202, MSC2732).
struct DeviceNews {
    var toDevice: [JSONValue] = []
    /// Users whose devices changed.
    var changedUsers: [UserID] = []
    /// What the homeserver still has of ours; nil when it did not say.
    var oneTimeKeyCount: Int?
    var unusedFallbackKeyTypes: [String]?

    /// More to-device messages than a homeserver puts into one transaction or sync, with room to spare.
    static let maximumMessages = 1_000
    static let maximumChangedUsers = 10_000
    /// Messages that are not taken: those beyond the first ``maximumMessages``, and those that are no objects, such as
    /// what the inbox passed over.
    var surplus = 0

    private static let algorithm = "signed_curve25519"

    /// - Parameter body: Of a transaction, which may hold messages and counts of other users and devices of ours.
    init(ofTransaction body: JSONValue, user: UserID, device: DeviceID) {
        let messages = (body["to_device"] ?? body["de.sorunome.msc2409.to_device"])?.array ?? []
        surplus = Self.surplus(of: messages)
        toDevice = messages.prefix(Self.maximumMessages).filter {
            $0["to_user_id"]?.string == user.rawValue && $0["to_device_id"]?.string == device.rawValue
        }
        takeChangedUsers(body["device_lists"] ?? body["org.matrix.msc3202.device_lists"])
        let counts =
            body["device_one_time_keys_count"] ?? body["org.matrix.msc3202.device_one_time_keys_count"]
            ?? body["org.matrix.msc3202.device_one_time_key_counts"]
        if let ours = counts?[user.rawValue]?[device.rawValue]?.object {
            // An empty object means that there is none.
            oneTimeKeyCount = Int(clamping: ours[Self.algorithm]?.integer ?? 0)
        }
        let fallback =
            body["device_unused_fallback_key_types"] ?? body["org.matrix.msc3202.device_unused_fallback_key_types"]
        unusedFallbackKeyTypes = fallback?[user.rawValue]?[device.rawValue]?.array?.compactMap(\.string)
    }

    /// - Parameter body: Of a sync of the device.
    init(ofSync body: JSONValue) {
        let messages = body["to_device"]?["events"]?.array ?? []
        surplus = Self.surplus(of: messages)
        toDevice = messages.prefix(Self.maximumMessages).filter { $0.object != nil }
        takeChangedUsers(body["device_lists"])
        if let counts = body["device_one_time_keys_count"]?.object {
            oneTimeKeyCount = Int(clamping: counts[Self.algorithm]?.integer ?? 0)
        }
        let fallback =
            body["device_unused_fallback_key_types"] ?? body["org.matrix.msc2732.device_unused_fallback_key_types"]
        unusedFallbackKeyTypes = fallback?.array?.compactMap(\.string)
    }

    /// - Parameter body: The answer of `/keys/upload`.
    init(ofUpload body: JSONValue) {
        oneTimeKeyCount = body["one_time_key_counts"]?.object.map { Int(clamping: $0[Self.algorithm]?.integer ?? 0) }
    }

    private static func surplus(of messages: [JSONValue]) -> Int {
        max(0, messages.count - maximumMessages) + messages.prefix(maximumMessages).count { $0.object == nil }
    }

    private mutating func takeChangedUsers(_ lists: JSONValue?) {
        changedUsers = (lists?["changed"]?.array ?? []).prefix(Self.maximumChangedUsers)
            .compactMap { $0.string.flatMap(UserID.init) }
    }
}
