// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A participant's conversation with the VideoRoom plugin of a Janus server, sans-IO: messages in, messages and signals
/// out, in order.
///
///     session ─▶ member handle ─▶ room made, or there ─▶ joined ─▶ publish: offer out, answer in
///                                                           └─▶ listener handle ─▶ offers in, answers out
///
/// Everybody joins as a member, as the plugin's own clients do, because only members hear of new publishers. Streams of
/// publishers that come while an offer is being answered are asked for together, when that is done.
struct JanusSession {
    /// What an answer answers.
    enum Transaction: String {
        case session
        case member
        case listener
        case room
        case join
        case publish
        case subscribe
        case start
        case keepAlive
        case leave
    }

    enum Output {
        /// JSON for the server.
        case message(String)
        case signal(LoadSignal)
    }

    private static let plugin = "janus.plugin.videoroom"
    /// The plugin's error for a room that another participant has made already.
    private static let roomExists = 427

    private let room: UInt32
    private let identity: UInt64
    private let publisherLimit: Int
    /// Nil for somebody who sends nothing.
    private var publication: ClientDescription?
    /// Nil for somebody who receives nothing.
    private var answers: ClientAnswer?
    private var session: UInt64?
    private var member: UInt64?
    private var listener: UInt64?
    /// Publishers that are not asked for yet.
    private var wanted: [JanusRequest.Feed] = []
    /// The listener's connection has been asked for.
    private var isListening = false
    private var isNegotiating = false
    private var outputs: [Output] = []

    /// - Parameters:
    ///   - identity: of the participant in the room, above zero.
    ///   - publisherLimit: how many may send in the room.
    init(
        room: UInt32, identity: UInt64, publisherLimit: Int, publication: ClientDescription?, answers: ClientAnswer?
    ) {
        self.room = room
        self.identity = identity
        self.publisherLimit = publisherLimit
        self.publication = publication
        self.answers = answers
    }

    mutating func nextOutput() -> Output? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    // MARK: Asking

    /// The socket is open.
    mutating func begin() {
        send(JanusRequest("create", transaction: .session))
    }

    mutating func keepAlive() {
        if session != nil { send(JanusRequest("keepalive", transaction: .keepAlive)) }
    }

    mutating func leave() {
        if session != nil { send(JanusRequest("destroy", transaction: .leave)) }
    }

    private mutating func send(_ request: JanusRequest) {
        var request = request
        request.sessionId = session
        outputs.append(.message(request.text))
    }

    private mutating func attach(_ transaction: Transaction) {
        var request = JanusRequest("attach", transaction: transaction)
        request.plugin = Self.plugin
        send(request)
    }

    private mutating func tell(
        _ handle: UInt64?, _ transaction: Transaction, _ body: JanusRequest.Body,
        _ description: JanusMessage.Description? = nil
    ) {
        var request = JanusRequest("message", transaction: transaction)
        request.handleId = handle
        request.body = body
        request.jsep = description
        send(request)
    }

    // MARK: Answers

    /// Takes what the server wrote.
    mutating func receive(_ text: String) {
        guard let message = JanusMessage(text) else { return fail("the server's message is not understood") }
        let transaction = message.transaction.flatMap(Transaction.init(rawValue:))
        if let error = message.error {
            return fail("the server answered \(error.code) \(error.reason)")
        }
        if let event = message.plugindata?.data {
            return received(event, message.jsep, transaction)
        }
        switch (message.janus, transaction, message.data) {
        case ("success", .session, let made?):
            session = made.id
            attach(.member)
        case ("success", .member, let made?):
            member = made.id
            makeRoom()
        case ("success", .listener, let made?):
            listener = made.id
            subscribe()
        case ("timeout", _, _): fail("the server ended the session")
        case ("hangup", _, _): fail("the server hung up: \(message.reason ?? "no reason")")
        default: break
        }
    }

    private mutating func received(
        _ event: JanusMessage.RoomEvent, _ description: JanusMessage.Description?, _ transaction: Transaction?
    ) {
        if let code = event.errorCode, !(transaction == .room && code == Self.roomExists) {
            return fail("the VideoRoom answered \(code) \(event.error ?? "")")
        }
        if answers != nil, let publishers = event.publishers {
            for publisher in publishers where publisher.id != identity {
                wanted.append(JanusRequest.Feed(feed: publisher.id))
            }
        }
        switch transaction {
        case .room: join()
        case .join where event.videoroom == "joined":
            publish()
            if answers != nil { attach(.listener) }
        case .publish:
            if let description { takeAnswer(description) }
        case .subscribe:
            if let description {
                takeOffer(description)
            } else {
                isNegotiating = false
            }
        case .start: isNegotiating = false
        default: break
        }
        subscribe()
    }

    private mutating func makeRoom() {
        var body = JanusRequest.Body(request: "create", room: room)
        body.publishers = publisherLimit
        body.audiocodec = "opus"
        body.videocodec = "vp8"
        tell(member, .room, body)
    }

    private mutating func join() {
        var body = JanusRequest.Body(request: "join", room: room)
        body.ptype = "publisher"
        body.id = identity
        tell(member, .join, body)
    }

    private mutating func publish() {
        guard let offer = publication?.offer() else { return }
        tell(member, .publish, JanusRequest.Body(request: "publish"), .init(type: "offer", sdp: offer))
    }

    /// Asks for all that is wanted, unless an earlier wish is still being met.
    private mutating func subscribe() {
        guard listener != nil, !isNegotiating, !wanted.isEmpty else { return }
        var body = JanusRequest.Body(request: isListening ? "subscribe" : "join")
        if !isListening {
            body.room = room
            body.ptype = "subscriber"
        }
        body.streams = wanted
        wanted.removeAll()
        isListening = true
        isNegotiating = true
        tell(listener, .subscribe, body)
    }

    private mutating func takeAnswer(_ answer: JanusMessage.Description) {
        do throws(SDPError) {
            let remote = try RemoteDescription(answer: SDPParser.parse(answer.sdp))
            outputs.append(.signal(.transport(remote.transport, .sending)))
        } catch {
            fail("the server's answer cannot be used: \(error)")
        }
    }

    private mutating func takeOffer(_ offer: JanusMessage.Description) {
        do throws(SDPError) {
            let remote = try RemoteDescription(offer: SDPParser.parse(offer.sdp))
            guard let answer = answers?.answer(to: remote) else { return }
            outputs.append(.signal(.streams(ClientDescription.streams(sentBy: remote))))
            tell(listener, .start, JanusRequest.Body(request: "start"), .init(type: "answer", sdp: answer))
            outputs.append(.signal(.transport(remote.transport, .receiving)))
        } catch {
            fail("the server's offer cannot be used: \(error)")
        }
    }

    private mutating func fail(_ reason: String) {
        outputs.append(.signal(.failed(reason)))
    }
}
