// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A place where a member publishes its media.
package enum RTCTransport: Equatable, Sendable, Codable {
    /// Type `livekit`: a token service, and the name it was once going to use for the room. The alias is only
    /// informational: clients read the real room from the token.
    case liveKitService(url: String, alias: String?)
    /// Type `m.livekit`: the SFU itself (MSC4195).
    case liveKitSFU(url: String)
    /// A type without meaning here.
    case other(type: String)

    /// More transports in one membership are not read.
    package static let maximumCount = 16
    /// A longer URL makes its transport unusable.
    package static let maximumURLByteCount = 2048

    /// Nil when the entry has no type, or lacks the URL of its type.
    init?(_ value: JSONValue) {
        guard let transport = value.object, let type = transport.text("type") else { return nil }
        switch type {
        case "livekit":
            guard let url = transport.text("livekit_service_url", upTo: Self.maximumURLByteCount) else { return nil }
            self = .liveKitService(url: url, alias: transport.text("livekit_alias"))
        case "m.livekit":
            guard let url = transport.text("url", upTo: Self.maximumURLByteCount) else { return nil }
            self = .liveKitSFU(url: url)
        default:
            self = .other(type: type)
        }
    }

    /// The readable entries of a list, in their order.
    static func list(_ value: JSONValue?) -> [RTCTransport] {
        (value?.array ?? []).prefix(maximumCount).compactMap { RTCTransport($0) }
    }
}
