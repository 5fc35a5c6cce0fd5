// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What an access token says: RFC 7519 §4.1 and LiveKit's claims. Times are whole Unix seconds.
package struct TokenClaims: Equatable, Sendable {
    /// The name of the key that signed.
    package var issuer = ""
    /// The participant's identity.
    package var identity = ""
    package var notBefore: Int64?
    package var issuedAt: Int64?
    package var expiry: Int64?
    /// Shown to people.
    package var name = ""
    /// standard, ingress, egress, sip, agent, connector or bridge; anything else counts as standard.
    package var kind = ""
    package var kindDetails: [String] = []
    package var metadata = ""
    package var attributes: [String: String] = [:]
    package var video: VideoGrant?
    /// Standard base64 of the SHA-256 of the body that a webhook's token goes with.
    package var sha256 = ""
    /// Settings for the room, if this token's join creates it.
    package var roomConfig: RawJSON?
    /// The name of such settings in the server's configuration.
    package var roomPreset = ""
    /// Of the token that these were read from, by which it is known again; no claim itself.
    package var signature: [UInt8] = []

    package init() {}

    /// The grant; without the claim, one that allows no room.
    package var grant: VideoGrant { video ?? VideoGrant() }
}

extension TokenClaims: Codable {
    enum CodingKeys: String, CodingKey {
        case iss, sub, jti, nbf, iat, exp
        case identity, name, kind, kindDetails, metadata, attributes, video, sha256, roomConfig, roomPreset
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func text(_ key: CodingKeys) throws -> String { try values.decodeIfPresent(String.self, forKey: key) ?? "" }
        func seconds(_ key: CodingKeys) throws -> Int64? {
            guard let number = try values.decodeIfPresent(Double.self, forKey: key) else { return nil }
            // RFC 7519 §2 allows fractions; beyond this range a time is a mistake, not a date.
            guard number.magnitude < 1e15 else {
                throw DecodingError.dataCorruptedError(forKey: key, in: values, debugDescription: "no time")
            }
            return Int64(number.rounded(.down))
        }

        issuer = try text(.iss)
        let subject = try text(.sub)
        identity = subject.isEmpty ? try text(.jti) : subject
        notBefore = try seconds(.nbf)
        issuedAt = try seconds(.iat)
        expiry = try seconds(.exp)
        name = try text(.name)
        kind = try text(.kind)
        kindDetails = try values.decodeIfPresent([String].self, forKey: .kindDetails) ?? []
        metadata = try text(.metadata)
        attributes = try values.decodeIfPresent([String: String].self, forKey: .attributes) ?? [:]
        video = try values.decodeIfPresent(VideoGrant.self, forKey: .video)
        sha256 = try text(.sha256)
        roomConfig = try values.decodeIfPresent(RawJSON.self, forKey: .roomConfig)
        roomPreset = try text(.roomPreset)
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        func put(_ text: String, _ key: CodingKeys) throws {
            if !text.isEmpty { try values.encode(text, forKey: key) }
        }

        try put(issuer, .iss)
        try put(identity, .sub)
        // Nobody should read it, but LiveKit's own tokens repeat it here.
        try put(identity, .identity)
        try values.encodeIfPresent(notBefore, forKey: .nbf)
        try values.encodeIfPresent(issuedAt, forKey: .iat)
        try values.encodeIfPresent(expiry, forKey: .exp)
        try put(name, .name)
        try put(kind, .kind)
        if !kindDetails.isEmpty { try values.encode(kindDetails, forKey: .kindDetails) }
        try put(metadata, .metadata)
        if !attributes.isEmpty { try values.encode(attributes, forKey: .attributes) }
        try values.encodeIfPresent(video, forKey: .video)
        try put(sha256, .sha256)
        try values.encodeIfPresent(roomConfig, forKey: .roomConfig)
        try put(roomPreset, .roomPreset)
    }
}
