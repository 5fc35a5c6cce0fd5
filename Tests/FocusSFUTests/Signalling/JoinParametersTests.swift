// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FoundationEssentials
import SwiftProtobuf
import Testing

@testable import FocusSFU

@Suite("Join parameters of both generations")
struct JoinParametersTests {
    private static func read(
        _ query: [String: String], version1: Bool = false, userAgent: String = ""
    ) throws -> JoinParameters {
        try JoinParameters(
            query: { query[$0] }, isVersion1Path: version1, userAgent: userAgent, clientAddress: "192.0.2.7")
    }

    private static var request: LiveKitJoinRequest {
        var request = LiveKitJoinRequest()
        request.clientInfo.sdk = .rust
        request.clientInfo.protocol = 16
        request.connectionSettings.autoSubscribe = true
        request.connectionSettings.adaptiveStream = true
        request.metadata = "meta"
        request.participantAttributes = ["a": "b"]
        request.reconnect = true
        request.participantSid = "PA_x"
        var track = LiveKitAddTrackRequest()
        track.cid = "camera"
        request.addTrackRequests = [track]
        request.publisherOffer.sdp = "v=0"
        return request
    }

    private static func wrap(
        _ inner: [UInt8], _ compression: LiveKitWrappedJoinRequest.Compression = .none
    ) throws -> String {
        var wrapped = LiveKitWrappedJoinRequest()
        wrapped.compression = compression
        wrapped.joinRequest = Data(inner)
        let bytes: [UInt8] = try wrapped.serializedBytes()
        return Base64URL.encode(bytes)
    }

    private static func refusal(_ query: [String: String], version1: Bool = false) -> String? {
        do {
            _ = try read(query, version1: version1)
            return nil
        } catch let refusal as JoinParameters.Refusal {
            return refusal.body
        } catch {
            return "\(error)"
        }
    }

    @Test("query items of /rtc")
    func versionZero() throws {
        let parameters = try Self.read([
            "auto_subscribe": "0", "adaptive_stream": "true", "reconnect": "1", "sid": "PA_1", "publish": "screen",
            "sdk": "js", "version": "2.15.0", "protocol": "16", "os": "Linux", "browser": "Vivaldi",
            "network": "wifi", "client_protocol": "2", "capabilities": "CAP_PACKET_TRAILER,CAP_UNKNOWN",
            "attributes": Base64URL.encode(Array(#"{"k":"v","ü":"ö"}"#.utf8)),
        ])
        #expect(!parameters.usesSinglePeerConnection)
        #expect(!parameters.autoSubscribe)
        #expect(parameters.adaptiveStream)
        #expect(parameters.isReconnect)
        #expect(parameters.participantSID == "PA_1")
        #expect(parameters.publishOnlySuffix == "screen")
        #expect(parameters.client.sdk == .js)
        #expect(parameters.client.version == "2.15.0")
        #expect(parameters.client.protocol == 16)
        #expect(parameters.client.clientProtocol == 2)
        #expect(parameters.client.capabilities == [.capPacketTrailer])
        #expect(parameters.client.address == "192.0.2.7")
        #expect(parameters.client.browser == "Vivaldi")
        #expect(parameters.attributes == ["k": "v", "ü": "ö"])
    }

    @Test("without items everything has its standard value, and nonsense counts as none")
    func versionZeroDefaults() throws {
        for query in [[:], ["auto_subscribe": "perhaps", "protocol": "many", "sdk": "fortran", "publish": ""]] {
            let parameters = try Self.read(query)
            #expect(parameters.autoSubscribe)
            #expect(!parameters.adaptiveStream)
            #expect(!parameters.isReconnect)
            #expect(parameters.client.protocol == 0)
            #expect(parameters.client.sdk == .unknown)
            #expect(parameters.publishOnlySuffix == nil)
        }
    }

    @Test("the browser comes from the user agent when the client does not say")
    func userAgent() throws {
        #expect(try Self.read([:], userAgent: "Mozilla/5.0 Firefox/140.0").client.browser == "Firefox")
        #expect(try Self.read([:], userAgent: "Mozilla/5.0 Chrome/142.0 Safari/537").client.browser == "Chrome")
        #expect(try Self.read([:], userAgent: "curl").client.browser == "")
    }

    @Test("a wrapped request is read alike from either path, plain or compressed", arguments: [true, false])
    func wrapped(version1: Bool) throws {
        let inner: [UInt8] = try Self.request.serializedBytes()
        let texts = [try Self.wrap(inner), try Self.wrap(GzipSamples.stored(inner), .gzip)]
        for text in texts {
            let parameters = try Self.read(["join_request": text], version1: version1)
            #expect(parameters.usesSinglePeerConnection)
            #expect(parameters.client.sdk == .rust)
            #expect(parameters.autoSubscribe && parameters.adaptiveStream && parameters.isReconnect)
            #expect(parameters.participantSID == "PA_x")
            #expect(parameters.metadata == "meta")
            #expect(parameters.attributes == ["a": "b"])
            #expect(parameters.addTrackRequests.map(\.cid) == ["camera"])
            #expect(parameters.publisherOffer?.sdp == "v=0")
        }
    }

    @Test("padding of base64url is optional", arguments: 0..<4)
    func padding(extra: Int) throws {
        var request = Self.request
        request.metadata = String(repeating: "x", count: extra)
        let text = try Self.wrap(try request.serializedBytes())
        let padded = text + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        #expect(try Self.read(["join_request": text], version1: true).metadata == request.metadata)
        #expect(try Self.read(["join_request": padded], version1: true).metadata == request.metadata)
    }

    @Test("a request without offer has none")
    func withoutOffer() throws {
        let text = try Self.wrap([])
        // An empty wrapped request is no bytes at all, as proto3 leaves out what is standard.
        #expect(text.isEmpty)
        var request = LiveKitJoinRequest()
        request.metadata = "m"
        let parameters = try Self.read(["join_request": try Self.wrap(try request.serializedBytes())], version1: true)
        #expect(parameters.publisherOffer == nil)
        #expect(!parameters.autoSubscribe)
    }

    @Test("each refusal has its text")
    func refusals() throws {
        #expect(Self.refusal([:], version1: true) == "join_request is required")
        #expect(Self.refusal(["join_request": ""], version1: true) == "join_request is required")
        #expect(Self.refusal(["join_request": "!!"], version1: true) == "cannot base64 decode wrapped join request")
        #expect(
            Self.refusal(["join_request": Base64URL.encode([0xFF, 0xFF])], version1: true)
                == "cannot unmarshal wrapped join request")
        #expect(
            Self.refusal(["join_request": try Self.wrap([1, 2, 3], .gzip)], version1: true)
                == "cannot read decompressed join request")
        #expect(
            Self.refusal(["join_request": try Self.wrap(GzipSamples.stored([0xFF, 0xFF]), .gzip)], version1: true)
                == "cannot unmarshal join request")
        #expect(
            Self.refusal(["join_request": try Self.wrap([0xFF, 0xFF])], version1: true)
                == "cannot unmarshal join request")
        #expect(Self.refusal(["attributes": "!!"]) == "cannot decode attributes")
        #expect(Self.refusal(["attributes": Base64URL.encode(Array("[1]".utf8))]) == "cannot decode attributes")
    }

    @Test("what the participant would begin with is as bounded as what it may change to")
    func lengths() throws {
        func refusal(_ limits: FocusLimits, _ claims: TokenClaims) -> String? {
            do {
                var parameters = try Self.read([:])
                parameters.metadata = "1234"
                parameters.attributes = ["k": "123", "b": "1"]
                try parameters.checkLengths(with: claims, limits: limits)
                return nil
            } catch {
                return (error as? JoinParameters.Refusal)?.body
            }
        }
        var limits = FocusLimits()
        limits.metadataBytes = 4
        limits.nameLength = 3
        var claims = TokenClaims()
        claims.name = "abc"
        // Replaced by the client's.
        claims.attributes = ["k": "a long value"]
        limits.attributesBytes = 6
        #expect(refusal(limits, claims) == nil)
        claims.attributes["c"] = "1"
        #expect(refusal(limits, claims) == "attributes size exceeds limits: max size 6")
        claims.attributes = [:]
        claims.metadata = "12345"
        #expect(refusal(limits, claims) == "metadata size exceeds limits: max size 4")
        claims.metadata = ""
        limits.metadataBytes = 3
        #expect(refusal(limits, claims) == "metadata size exceeds limits: max size 3")
        limits.metadataBytes = 4
        limits.nameLength = 2
        #expect(refusal(limits, claims) == "name length exceeds limits: max length 2")
    }

    @Test("empty attributes are none, and a client has only so many capabilities")
    func trimmed() throws {
        var parameters = try Self.read([:])
        parameters.attributes = ["a": "", "b": "2"]
        #expect(parameters.mergedAttributes(over: ["a": "1", "c": "3"]) == ["b": "2", "c": "3"])
        var request = Self.request
        request.clientInfo.capabilities = Array(repeating: .capPacketTrailer, count: 1_000)
        let text = try Self.wrap(try request.serializedBytes())
        #expect(try Self.read(["join_request": text], version1: true).client.capabilities.count == 32)
    }

    @Test("a decompression bomb is refused")
    func bomb() throws {
        let text = try Self.wrap(GzipSamples.zeros(matches: 100_000), .gzip)
        #expect(Self.refusal(["join_request": text], version1: true) == "join request too large")
        let plain = try Self.wrap([UInt8](repeating: 0, count: JoinParameters.decompressedLimit + 1))
        #expect(Self.refusal(["join_request": plain], version1: true) == "join request too large")
    }

    @Test("changed bytes are refused or read, never trapped")
    func mutated() throws {
        let inner: [UInt8] = try Self.request.serializedBytes()
        for bytes in MutatedBytes(of: inner, seed: 3, count: 1_000) {
            _ = Self.refusal(["join_request": try Self.wrap(bytes)], version1: true)
            _ = Self.refusal(["join_request": Base64URL.encode(bytes)], version1: true)
        }
    }
}
