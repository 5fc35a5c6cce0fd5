// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A client of one TURN server: RFC 8656 with long-term credentials (RFC 8489 §9.2), over datagrams or a stream.
///
/// Bytes and times go in, bytes and events come out; the shell owns the socket and the clock. One operation at a time.
/// After a challenge an answer counts only with a right MESSAGE-INTEGRITY, so that nobody between can pretend success;
/// the one exception are the errors with which servers ask for other credentials.
package struct TURNClient: Sendable {
    package enum Carrier: Sendable {
        case datagrams
        case stream
    }

    /// How long one operation may take, milliseconds.
    package static let timeLimitMilliseconds: UInt64 = 5_000
    /// First wait for an answer before a datagram is sent again, doubled each time, RFC 8489 §6.2.1; milliseconds.
    private static let firstRetransmission: UInt64 = 500
    private static let nonceLimit = 3
    /// Longest realm and nonce, RFC 8489 §14.9 and §14.10, in bytes.
    private static let textLimit = 763

    private struct Transaction {
        var operation: TURNOperation
        var id: TURNTransactionID
        var bytes: [UInt8]
        var nextTransmission: UInt64
        var wait: UInt64
        var end: UInt64
        var nonceCount = 0
    }

    private struct Challenge {
        var realm: [UInt8]
        var nonce: [UInt8]
        var key: [UInt8]
    }

    private let carrier: Carrier
    private let username: String
    private let password: String
    private let makeID: @Sendable () -> TURNTransactionID
    private var transaction: Transaction?
    private var challenge: Challenge?
    private var channels: [UInt16: RelayAddress] = [:]
    private var reader = TURNFrameReader()
    private var output: [[UInt8]] = []
    private var events: [TURNClientEvent] = []
    /// What was passed over, by reason.
    package private(set) var ignored: [TURNIgnoredReason: Int] = [:]

    /// - Parameter makeID: The source of transaction ids; random but in tests.
    package init(
        carrier: Carrier, username: String, password: String,
        makeID: @escaping @Sendable () -> TURNTransactionID = { .random() }
    ) {
        self.carrier = carrier
        self.username = username
        self.password = password
        self.makeID = makeID
    }

    /// What to send, one array a datagram.
    package mutating func takeOutput() -> [[UInt8]] { Self.take(&output) }

    package mutating func takeEvents() -> [TURNClientEvent] { Self.take(&events) }

    private static func take<Element>(_ list: inout [Element]) -> [Element] {
        defer { list = [] }
        return list
    }

    /// When ``tick(at:)`` is due, monotonic milliseconds; nil while nothing is asked.
    package var deadline: UInt64? {
        transaction.map { carrier == .datagrams ? min($0.nextTransmission, $0.end) : $0.end }
    }

    /// Asks for something. What was being asked is given up.
    package mutating func start(_ operation: TURNOperation, at now: UInt64) {
        transaction = Transaction(
            operation: operation, id: makeID(), bytes: [], nextTransmission: 0, wait: Self.firstRetransmission,
            end: now + Self.timeLimitMilliseconds)
        ask(at: now)
    }

    /// Sends to a peer that has a permission: through its channel when it has one.
    package mutating func send(_ payload: [UInt8], to peer: RelayAddress) {
        if let channel = channels.first(where: { $0.value == peer })?.key {
            output.append(TURNFrame.encoded(channel: channel, payload: payload, isPadded: carrier == .stream))
            return
        }
        var message = TURNMessage(.indication, .send, transactionID: makeID())
        message.add(.xorPeerAddress, peer)
        message.add(.data, payload)
        output.append(message.encoded())
    }

    /// Time has passed.
    package mutating func tick(at now: UInt64) {
        guard var pending = transaction else { return }
        if now >= pending.end {
            fail(.noAnswer(ignored: ignored.values.reduce(0, +)))
        } else if carrier == .datagrams, now >= pending.nextTransmission {
            pending.wait *= 2
            pending.nextTransmission = now + pending.wait
            transaction = pending
            output.append(pending.bytes)
        }
    }

    /// A datagram, or a piece of the stream.
    package mutating func receive(_ bytes: [UInt8], at now: UInt64) {
        switch carrier {
        case .datagrams:
            guard let frame = TURNFrame(datagram: bytes) else { return ignore(.notFrame) }
            receive(frame, at: now)
        case .stream:
            for frame in reader.receive(bytes) { receive(frame, at: now) }
            if reader.isBroken { end() }
        }
    }

    /// The stream has ended, or the socket failed.
    package mutating func end() { fail(.broken) }
}

// MARK: - Asking

extension TURNClient {
    /// Sends the operation of the transaction, with what is known of the server's challenge.
    private mutating func ask(at now: UInt64) {
        guard var pending = transaction else { return }
        var message: TURNMessage
        switch pending.operation {
        case .allocate(let family, let relayProtocol):
            message = TURNMessage(.request, .allocate, transactionID: pending.id)
            message.add(.requestedTransport, [relayProtocol.rawValue, 0, 0, 0])
            // IPv4 is what a server gives unasked; some servers know no other and refuse the attribute.
            if family == .ipv6 { message.add(.requestedAddressFamily, [family.rawValue, 0, 0, 0]) }
        case .createPermission(let peer):
            message = TURNMessage(.request, .createPermission, transactionID: pending.id)
            message.add(.xorPeerAddress, peer)
        case .bindChannel(let channel, let peer):
            message = TURNMessage(.request, .channelBind, transactionID: pending.id)
            message.add(.channelNumber, BigEndian.bytes(of: channel) + [0, 0])
            message.add(.xorPeerAddress, peer)
        case .refresh(let seconds):
            message = TURNMessage(.request, .refresh, transactionID: pending.id)
            message.add(.lifetime, BigEndian.bytes(of: seconds))
        }
        if let challenge {
            message.add(.username, username.utf8)
            message.add(.realm, challenge.realm)
            message.add(.nonce, challenge.nonce)
        }
        pending.bytes = message.encoded(key: challenge?.key)
        pending.wait = Self.firstRetransmission
        pending.nextTransmission = now + pending.wait
        transaction = pending
        output.append(pending.bytes)
    }

    private mutating func fail(_ fault: TURNClientFault) {
        guard let pending = transaction else { return }
        transaction = nil
        events.append(.failed(pending.operation, fault))
    }

    private mutating func ignore(_ reason: TURNIgnoredReason) {
        ignored[reason, default: 0] += 1
    }
}

// MARK: - Answers

extension TURNClient {
    private mutating func receive(_ frame: TURNFrame, at now: UInt64) {
        switch frame {
        case .channelData(let channel, let payload):
            guard let peer = channels[channel] else { return ignore(.unexpected) }
            events.append(.data(payload, from: peer))
        case .message(let bytes):
            guard let message = try? TURNMessage(bytes) else { return ignore(.malformed) }
            switch message.messageClass {
            case .request: ignore(.unexpected)
            case .indication: receiveIndication(message)
            case .success, .error: receiveAnswer(message, at: now)
            }
        }
    }

    private mutating func receiveIndication(_ message: TURNMessage) {
        guard message.method == .data, let peer = message.address(.xorPeerAddress), let payload = message[.data] else {
            return ignore(.unexpected)
        }
        events.append(.data(payload, from: peer))
    }

    private mutating func receiveAnswer(_ message: TURNMessage, at now: UInt64) {
        guard let pending = transaction, pending.id == message.transactionID,
            message.method == pending.operation.method
        else { return ignore(.unknownTransaction) }
        if message.messageClass == .error {
            return receiveError(message, pending, at: now)
        }
        guard let challenge, message.isProven(by: challenge.key) else { return ignore(.unproven) }
        transaction = nil
        switch pending.operation {
        case .allocate:
            guard let relayed = message.address(.xorRelayedAddress), relayed.port != 0,
                relayed.bytes.contains(where: { $0 != 0 }), let lifetime = message.lifetimeSeconds
            else { return events.append(.failed(pending.operation, .malformedAnswer)) }
            events.append(
                .allocated(
                    TURNAllocation(
                        relayed: relayed, mapped: message.address(.xorMappedAddress), lifetimeSeconds: lifetime)))
        case .bindChannel(let channel, let peer):
            channels[channel] = peer
            events.append(.done(pending.operation))
        case .createPermission:
            events.append(.done(pending.operation))
        case .refresh:
            guard let lifetime = message.lifetimeSeconds else {
                return events.append(.failed(pending.operation, .malformedAnswer))
            }
            events.append(.done(.refresh(lifetimeSeconds: lifetime)))
        }
    }

    private mutating func receiveError(_ message: TURNMessage, _ pending: Transaction, at now: UInt64) {
        let code = message.errorCode
        switch code {
        case 401 where challenge == nil, 438:
            takeChallenge(message, pending, at: now)
        case 401, 441:
            // A server that does not know our password cannot prove that it says so.
            fail(.refused(code: code ?? 401))
        default:
            if let challenge, !message.isProven(by: challenge.key) { return ignore(.unproven) }
            fail(code.map(TURNClientFault.refused) ?? .malformedAnswer)
        }
    }

    private mutating func takeChallenge(_ message: TURNMessage, _ pending: Transaction, at now: UInt64) {
        guard let realm = message[.realm] ?? challenge?.realm, let nonce = message[.nonce],
            realm.count <= Self.textLimit, nonce.count <= Self.textLimit
        else { return fail(.malformedAnswer) }
        guard pending.nonceCount < Self.nonceLimit else { return fail(.endlessNonces) }
        guard let key = STUNChecksum.longTermKey(username: username, realm: realm, password: password) else {
            return fail(.digest)
        }
        challenge = Challenge(realm: realm, nonce: nonce, key: key)
        transaction?.nonceCount += 1
        transaction?.id = makeID()
        ask(at: now)
    }
}

extension TURNOperation {
    var method: TURNMessage.Method {
        switch self {
        case .allocate: .allocate
        case .createPermission: .createPermission
        case .bindChannel: .channelBind
        case .refresh: .refresh
        }
    }
}
