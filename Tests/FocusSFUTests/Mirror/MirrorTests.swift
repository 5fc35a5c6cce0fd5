// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Logging
import Testing

@testable import FocusSFU

@Suite("Mirrors: descriptions of calls with an echo")
struct MirrorTests {
    private struct NoICEServers: ICEServerProviding {
        func iceServers(forIdentity identity: String, unixSeconds: Int64) -> [ICEServerEntry] { [] }
    }

    private static func with(
        codecs: Bool = true, _ body: (MirrorDirectory) async throws -> Void
    ) async throws {
        var configuration = FocusConfiguration(
            keys: try APIKeySet(secrets: ["devkey": "a secret of the tests, 32 letters long"]))
        configuration.mediaPort = 0
        configuration.advertisedAddresses = ["127.0.0.1"]
        if !codecs { configuration.enabledCodecs = [] }
        let focus = try FocusServer(
            configuration: configuration, iceServers: NoICEServers(),
            log: Logger(label: "focus", factory: { _ in SwiftLogNoOpLogHandler() }))
        defer { for worker in focus.directory.workers { worker.stop() } }
        try await body(focus.mirrors)
    }

    private static func offer(setup: String, direction: String = "sendrecv", version: Int = 1) -> String {
        let fingerprint = Array(repeating: "AB", count: 32).joined(separator: ":")
        return [
            "v=0", "o=- 4711 \(version) IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0",
            "m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 0.0.0.0", "a=rtcp-mux", "a=mid:0", "a=ice-ufrag:abcd",
            "a=ice-pwd:abcdefghijklmnopqrstuvwx", "a=fingerprint:sha-256 \(fingerprint)", "a=setup:\(setup)",
            "a=\(direction)", "a=msid:stream track", "a=rtpmap:111 opus/48000/2",
        ].map { $0 + "\r\n" }.joined()
    }

    @Test("the DTLS role stays what it was first", arguments: [("passive", "active"), ("actpass", "passive")])
    func setup(offered: String, answered: String) async throws {
        try await Self.with { mirrors in
            let first = try await mirrors.answer(Self.offer(setup: offered), mirror: "m")
            #expect(first.sdp.contains("a=setup:\(answered)"))
            #expect(first.streamID != nil)
            let later = try await mirrors.answer(Self.offer(setup: "actpass", version: 2), mirror: "m")
            #expect(later.sdp.contains("a=setup:\(answered)"))
            #expect(await mirrors.state(ofMirror: "m") == .connecting)
            await mirrors.end(mirror: "m")
            #expect(await mirrors.state(ofMirror: "m") == .absent)
        }
    }

    @Test("what cannot come back, or cannot be offered, is refused and leaves nothing behind")
    func refusals() async throws {
        try await Self.with(codecs: false) { mirrors in
            await #expect(throws: MirrorRefusal.nothingToOffer) { try await mirrors.offer(mirror: "m") }
            #expect(await mirrors.state(ofMirror: "m") == .absent)
        }
        try await Self.with { mirrors in
            await #expect(throws: MirrorRefusal.nothingToReflect) {
                try await mirrors.answer(Self.offer(setup: "actpass", direction: "recvonly"), mirror: "m")
            }
            #expect(await mirrors.state(ofMirror: "m") == .absent)
            await #expect(throws: MirrorRefusal.nothingOffered) { try await mirrors.take(answer: "", mirror: "m") }
        }
    }
}
