// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Foundation
import Testing

@testable import FocusSFU

@Suite("A load test's participant in a VideoRoom")
struct JanusSessionTests {
    /// A conversation with what was said so far.
    private struct Conversation {
        var session: JanusSession
        var signals: [LoadSignal] = []

        init(publishes: Bool, subscribes: Bool) throws {
            let endpoint = LoadEndpoint(
                credentials: try #require(
                    ICECredentials(usernameFragment: "abcd", password: "0123456789abcdefghijklmn")),
                fingerprint: try #require(CertificateFingerprint(bytes: [UInt8](repeating: 7, count: 32))))
            var publication = ClientDescription(endpoint)
            publication.addSending(isVideo: false, ssrc: 99, cid: "track")
            session = JanusSession(
                room: 12, identity: 5, publisherLimit: 3, publication: publishes ? publication : nil,
                answers: subscribes ? ClientAnswer(endpoint) : nil)
            session.begin()
        }

        /// What it says next, as JSON objects.
        mutating func said() throws -> [[String: Any]] {
            var messages: [[String: Any]] = []
            while let output = session.nextOutput() {
                switch output {
                case .message(let text):
                    let object = try JSONSerialization.jsonObject(with: Data(text.utf8))
                    messages.append(try #require(object as? [String: Any]))
                case .signal(let signal): signals.append(signal)
                }
            }
            return messages
        }

        mutating func hears(_ text: String) throws -> [[String: Any]] {
            session.receive(text)
            return try said()
        }

        /// Up to and with the server's word that it is in the room; what it answers.
        mutating func joins(publishers: String = "") throws -> [[String: Any]] {
            _ = try said()
            _ = try hears(#"{"janus":"success","transaction":"session","data":{"id":9007199254740991}}"#)
            _ = try hears(#"{"janus":"success","transaction":"member","session_id":1,"data":{"id":44}}"#)
            _ = try hears(Self.event("room", #""videoroom":"created","room":12"#))
            return try hears(Self.event("join", #""videoroom":"joined","room":12,"publishers":[\#(publishers)]"#))
        }

        static func event(_ transaction: String, _ data: String, jsep: String = "") -> String {
            #"{"janus":"event","transaction":"\#(transaction)","sender":44,"#
                + #""plugindata":{"plugin":"janus.plugin.videoroom","data":{\#(data)}}\#(jsep)}"#
        }

        var failure: String? {
            for case .failed(let reason) in signals { return reason }
            return nil
        }
    }

    /// An offer as a Janus 1.1 writes it, with a stream of each kind.
    private static let offer =
        [
            "v=0", "o=- 1 1 IN IP4 192.0.2.2", "s=VideoRoom 12", "t=0 0", "a=group:BUNDLE 0 1", "a=ice-options:trickle",
            "a=fingerprint:sha-256 " + Array(repeating: "AB", count: 32).joined(separator: ":"),
            "a=extmap-allow-mixed", "a=msid-semantic: WMS *", "a=ice-lite", "m=audio 9 UDP/TLS/RTP/SAVPF 111",
            "c=IN IP4 192.0.2.2", "a=sendonly", "a=mid:0", "a=rtcp-mux", "a=ice-ufrag:pQ1x",
            "a=ice-pwd:TGFzdCBvZiB0aGUgbW9oaWNhbnM", "a=setup:actpass", "a=rtpmap:111 opus/48000/2",
            "a=msid:janus janus0", "a=ssrc:1001 cname:janus", "a=candidate:1 1 udp 2015363327 192.0.2.2 40000 typ host",
            "a=end-of-candidates", "m=video 9 UDP/TLS/RTP/SAVPF 96 97", "c=IN IP4 192.0.2.2", "a=sendonly", "a=mid:1",
            "a=rtcp-mux", "a=ice-ufrag:pQ1x", "a=ice-pwd:TGFzdCBvZiB0aGUgbW9oaWNhbnM", "a=setup:actpass",
            "a=rtpmap:96 VP8/90000", "a=rtcp-fb:96 nack", "a=rtcp-fb:96 nack pli", "a=rtpmap:97 rtx/90000",
            "a=fmtp:97 apt=96",
            "a=ssrc-group:FID 2001 2002", "a=ssrc:2001 cname:janus", "a=ssrc:2002 cname:janus",
        ].joined(separator: #"\r\n"#) + #"\r\n"#

    private static func jsep(_ type: String, _ sdp: String) -> String {
        #","jsep":{"type":"\#(type)","sdp":"\#(sdp)"}"#
    }

    @Test("session, handle, room, join, one after the other")
    func joining() throws {
        var peer = try Conversation(publishes: false, subscribes: true)
        var said = try peer.said()
        #expect(said.map { $0["janus"] as? String } == ["create"])
        said = try peer.hears(#"{"janus":"success","transaction":"session","data":{"id":9007199254740991}}"#)
        #expect(said.first?["plugin"] as? String == "janus.plugin.videoroom")
        // Ids fill the whole range of JavaScript's integers.
        #expect(said.first?["session_id"] as? UInt64 == 9_007_199_254_740_991)
        said = try peer.hears(#"{"janus":"success","transaction":"member","data":{"id":44}}"#)
        #expect(said.first?["handle_id"] as? Int == 44)
        var body = try #require(said.first?["body"] as? [String: Any])
        #expect(body["request"] as? String == "create" && body["publishers"] as? Int == 3)
        // Another participant was faster.
        said = try peer.hears(
            Conversation.event("room", #""videoroom":"event","error_code":427,"error":"Room 12 already exists""#))
        body = try #require(said.first?["body"] as? [String: Any])
        #expect(body["request"] as? String == "join" && body["ptype"] as? String == "publisher")
        #expect(body["id"] as? Int == 5 && body["room"] as? Int == 12)
        // Nobody is there to be heard.
        said = try peer.hears(Conversation.event("join", #""videoroom":"joined","room":12,"publishers":[]"#))
        #expect(said.map { $0["janus"] as? String } == ["attach"])
        #expect(try peer.hears(#"{"janus":"success","transaction":"listener","data":{"id":45}}"#).isEmpty)
        #expect(peer.failure == nil)
    }

    @Test("what it sends is offered, and the answer is taken")
    func publishing() throws {
        var peer = try Conversation(publishes: true, subscribes: false)
        let said = try peer.joins(publishers: #"{"id":1}"#)
        #expect(said.count == 1)
        let description = try #require(said.first?["jsep"] as? [String: Any])
        #expect(description["type"] as? String == "offer")
        #expect((description["sdp"] as? String)?.contains("a=ssrc:99 ") == true)
        let answer = Self.offer.replacing("actpass", with: "active").replacing("sendonly", with: "recvonly")
        #expect(
            try peer.hears(
                Conversation.event(
                    "publish", #""videoroom":"event","configured":"ok""#, jsep: Self.jsep("answer", answer))
            ).isEmpty)
        guard case .transport(let transport, .sending)? = peer.signals.last else {
            Issue.record("no transport: \(peer.signals)")
            return
        }
        #expect(transport.usernameFragment == "pQ1x" && transport.setup == .active && transport.candidates.count == 1)
    }

    @Test("publishers that come while an offer is answered are asked for together, afterwards")
    func subscribing() throws {
        var peer = try Conversation(publishes: false, subscribes: true)
        _ = try peer.joins(publishers: #"{"id":1},{"id":5}"#)
        var said = try peer.hears(#"{"janus":"success","transaction":"listener","data":{"id":45}}"#)
        var body = try #require(said.first?["body"] as? [String: Any])
        #expect(body["request"] as? String == "join" && body["ptype"] as? String == "subscriber")
        // Number 5 is itself.
        #expect(body["streams"] as? [[String: Int]] == [["feed": 1]])
        #expect(said.first?["handle_id"] as? Int == 45)

        for publisher in [2, 3] {
            let event = #""videoroom":"event","room":12,"publishers":[{"id":\#(publisher)}]"#
            #expect(try peer.hears(Conversation.event("", event)).isEmpty)
        }
        said = try peer.hears(
            Conversation.event("subscribe", #""videoroom":"attached""#, jsep: Self.jsep("offer", Self.offer)))
        body = try #require(said.first?["body"] as? [String: Any])
        #expect(said.count == 1 && body["request"] as? String == "start")
        let answer = try #require((said.first?["jsep"] as? [String: Any])?["sdp"] as? String)
        let remote = try RemoteDescription(answer: SDPParser.parse(answer))
        #expect(remote.sections.map(\.mid) == ["0", "1"] && remote.bundle == [0, 1])
        #expect(remote.sections.allSatisfy { $0.direction == .recvonly })
        #expect(remote.sections.map { $0.codecs.map(\.payloadType) } == [[111], [96]])
        #expect(remote.sections[1].codecs.first?.rtxPayloadType == 97)
        #expect(remote.transport.setup == .active && remote.transport.usernameFragment == "abcd")
        var streams: [UInt32] = []
        for case .streams(let ssrcs) in peer.signals { streams = ssrcs }
        #expect(streams == [1001, 2001])
        guard case .transport(_, .receiving)? = peer.signals.last else {
            Issue.record("no transport: \(peer.signals)")
            return
        }

        said = try peer.hears(Conversation.event("start", #""videoroom":"event","started":"ok""#))
        body = try #require(said.first?["body"] as? [String: Any])
        #expect(body["request"] as? String == "subscribe" && body["ptype"] == nil)
        #expect(body["streams"] as? [[String: Int]] == [["feed": 2], ["feed": 3]])
        #expect(peer.failure == nil)
    }

    @Test(
        "what ends it",
        arguments: [
            (#"{"janus":"error","transaction":"join","error":{"code":458,"reason":"No such session"}}"#, "458"),
            (Conversation.event("join", #""videoroom":"event","error_code":426,"error":"No such room""#), "426"),
            (#"{"janus":"hangup","sender":44,"reason":"DTLS alert"}"#, "DTLS alert"),
            (#"{"janus":"timeout"}"#, "session"), ("not JSON", "understood"), ("{}", "understood"),
            (Conversation.event("publish", #""videoroom":"event""#, jsep: jsep("answer", "v=0")), "answer"),
        ])
    func failing(_ message: String, _ words: String) throws {
        var peer = try Conversation(publishes: true, subscribes: true)
        _ = try peer.joins()
        _ = try peer.hears(message)
        #expect(try #require(peer.failure).contains(words))
    }

    @Test("it says that it is there, and that it goes, once it has a session")
    func keepingAlive() throws {
        var peer = try Conversation(publishes: false, subscribes: false)
        _ = try peer.said()
        peer.session.keepAlive()
        peer.session.leave()
        #expect(try peer.said().isEmpty)
        _ = try peer.joins()
        peer.session.keepAlive()
        peer.session.leave()
        #expect(try peer.said().map { $0["janus"] as? String } == ["keepalive", "destroy"])
    }
}
