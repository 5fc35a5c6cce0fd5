// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FoundationEssentials
import SwiftProtobuf

/// What a client asks for when it opens the signal socket, the same value for both generations.
///
/// `/rtc` spells it as query items, `/rtc/v1` (and `/rtc?join_request=`) as a compressed protobuf in one item.
struct JoinParameters: Sendable {
    /// One peer connection that the client always offers, instead of one for each direction.
    var usesSinglePeerConnection = false
    var client = LiveKitClientInfo()
    var autoSubscribe = true
    var adaptiveStream = false
    var isReconnect = false
    var participantSID = ""
    var metadata = ""
    var attributes: [String: String] = [:]
    var addTrackRequests: [LiveKitAddTrackRequest] = []
    var publisherOffer: LiveKitSessionDescription?
    /// Set when this is an extra publish-only connection; appended to the identity after `#`.
    var publishOnlySuffix: String?

    /// Why the parameters were refused; `body` is what clients show.
    struct Refusal: Error, Equatable {
        var body: String
    }

    /// How large a join request may be after decompression.
    static let decompressedLimit = 1 << 20
    /// Capabilities of a client that are passed on to the others.
    static let maximumCapabilities = 32

    /// What a client asks for that asks for nothing.
    init() {}

    init(query: (String) -> String?, isVersion1Path: Bool, userAgent: String, clientAddress: String) throws(Refusal) {
        if let wrapped = query("join_request"), !wrapped.isEmpty {
            try self.init(wrappedJoinRequest: wrapped)
        } else if isVersion1Path {
            throw Refusal(body: "join_request is required")
        } else {
            try self.init(versionZero: query)
        }
        client.address = clientAddress
        if client.browser.isEmpty, userAgent.contains("Firefox/") { client.browser = "Firefox" }
        if client.browser.isEmpty, userAgent.contains("Chrome/") { client.browser = "Chrome" }
    }

    private init(wrappedJoinRequest text: String) throws(Refusal) {
        guard let bytes = try? Base64URL.decode(Array(text.utf8), padding: .optional) else {
            throw Refusal(body: "cannot base64 decode wrapped join request")
        }
        guard let wrapped = try? LiveKitWrappedJoinRequest(serializedBytes: bytes) else {
            throw Refusal(body: "cannot unmarshal wrapped join request")
        }
        var inner = [UInt8](wrapped.joinRequest)
        switch wrapped.compression {
        case .gzip:
            do {
                inner = try Gunzip.inflate(inner, limit: Self.decompressedLimit)
            } catch .tooLarge {
                throw Refusal(body: "join request too large")
            } catch {
                throw Refusal(body: "cannot read decompressed join request")
            }
        case .none, .UNRECOGNIZED:
            guard inner.count <= Self.decompressedLimit else { throw Refusal(body: "join request too large") }
        }
        guard let request = try? LiveKitJoinRequest(serializedBytes: inner) else {
            throw Refusal(body: "cannot unmarshal join request")
        }
        usesSinglePeerConnection = true
        client = request.clientInfo
        client.capabilities = Array(client.capabilities.prefix(Self.maximumCapabilities))
        autoSubscribe = request.connectionSettings.autoSubscribe
        adaptiveStream = request.connectionSettings.adaptiveStream
        isReconnect = request.reconnect
        participantSID = request.participantSid
        metadata = request.metadata
        attributes = request.participantAttributes
        addTrackRequests = request.addTrackRequests
        publisherOffer = request.hasPublisherOffer ? request.publisherOffer : nil
    }

    private init(versionZero query: (String) -> String?) throws(Refusal) {
        func flag(_ name: String, default standard: Bool) -> Bool {
            switch query(name)?.lowercased() {
            case "1", "true", "t": true
            case "0", "false", "f": false
            default: standard
            }
        }
        autoSubscribe = flag("auto_subscribe", default: true)
        adaptiveStream = flag("adaptive_stream", default: false)
        isReconnect = flag("reconnect", default: false)
        participantSID = query("sid") ?? ""
        if let suffix = query("publish"), !suffix.isEmpty { publishOnlySuffix = suffix }
        client.sdk = Self.sdk(named: query("sdk") ?? "")
        client.version = query("version") ?? ""
        client.protocol = Int32(query("protocol") ?? "") ?? 0
        client.clientProtocol = Int32(query("client_protocol") ?? "") ?? 0
        client.os = query("os") ?? ""
        client.osVersion = query("os_version") ?? ""
        client.deviceModel = query("device_model") ?? ""
        client.browser = query("browser") ?? ""
        client.browserVersion = query("browser_version") ?? ""
        client.network = query("network") ?? ""
        if let names = query("capabilities") {
            client.capabilities = names.split(separator: ",").prefix(Self.maximumCapabilities).compactMap { name in
                switch name {
                case "CAP_PACKET_TRAILER": .capPacketTrailer
                case "CAP_COMPRESSION_DEFLATE_RAW": .capCompressionDeflateRaw
                default: nil
                }
            }
        }
        if let encoded = query("attributes"), !encoded.isEmpty {
            guard let json = try? Base64URL.decode(Array(encoded.utf8), padding: .optional),
                let decoded = try? JSONDecoder().decode([String: String].self, from: Data(json))
            else { throw Refusal(body: "cannot decode attributes") }
            attributes = decoded
        }
    }

    private static func sdk(named name: String) -> LiveKitClientInfo.SDK {
        switch name.lowercased() {
        case "js": .js
        case "ios", "swift": .swift
        case "android": .android
        case "flutter": .flutter
        case "go": .go
        case "unity": .unity
        case "reactnative": .reactNative
        case "rust": .rust
        case "python": .python
        case "cpp": .cpp
        case "unityweb": .unityWeb
        case "node": .node
        case "unreal": .unreal
        case "esp32": .esp32
        default: .unknown
        }
    }
}
