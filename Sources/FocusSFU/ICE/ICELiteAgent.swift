// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How a lite agent sees its peer.
package enum ICEState: Equatable, Sendable {
    /// No authenticated check has arrived yet.
    case new
    /// Checks arrive, none has nominated a path.
    case checking
    case connected
    /// No check for ``ICELiteAgent/disconnectedAfterMilliseconds``: consent is about to end.
    case disconnected
    /// No check for ``ICELiteAgent/failedAfterMilliseconds``: only a restart helps.
    case failed
}

/// What a check changed. Drained with ``ICELiteAgent/nextEvent()`` after each input.
package enum ICEEvent: Equatable, Sendable {
    /// A check with our password came from this address for the first time.
    case pathAdded(NetworkAddress)
    /// The address was forgotten to make room.
    case pathRemoved(NetworkAddress)
    /// The controlling side nominated this address: send here from now on.
    case pathSelected(NetworkAddress)
    /// A restart is complete; datagrams for this user name fragment are refused from now on.
    case usernameFragmentRetired(String)
}

/// A lite, controlled ICE agent with one component: it answers checks and never sends any. RFC 8445 §2.5 and §6.1.1.
///
///     new ── check ──▶ checking ── USE-CANDIDATE ──▶ connected ◀─ check ─ disconnected
///                                                       └── 10 s silence ──▶ ┘ ── 15 s ──▶ failed
///
/// The path nominated last wins, since browsers move by nominating again (RFC 8445 §8.1.1 asks for one nomination,
/// which would tie a phone to a network it has left). Consent (RFC 7675) is the peer's to ask for; an authenticated
/// check shows that the peer is there. After a restart both generations of credentials are honoured until the new one
/// is nominated.
package struct ICELiteAgent: Sendable {
    package static let disconnectedAfterMilliseconds: UInt64 = 10_000
    package static let failedAfterMilliseconds: UInt64 = 15_000
    /// Addresses remembered; the one silent longest makes room.
    package static let pathLimit = 16
    /// Checks with a wrong password, in ``failureWindowMilliseconds``, after which strangers' are not looked at any
    /// more.
    package static let failureLimit = 64
    package static let failureWindowMilliseconds: UInt64 = 1_000
    /// A check is far shorter; what is longer is not read.
    package static let requestByteLimit = 1500

    private struct Generation {
        let credentials: ICECredentials
        let usernameFragment: [UInt8]
        let password: [UInt8]
        var remoteUsernameFragment: [UInt8]?

        init(_ credentials: ICECredentials) {
            self.credentials = credentials
            usernameFragment = Array(credentials.usernameFragment.utf8)
            password = Array(credentials.password.utf8)
        }

        /// RFC 8445 §7.2.2: the receiver's fragment, a colon, the sender's fragment.
        func owns(_ username: UnsafeRawBufferPointer) -> Bool {
            guard username.count > usernameFragment.count, username[usernameFragment.count] == UInt8(ascii: ":"),
                username.prefix(usernameFragment.count).elementsEqual(usernameFragment)
            else { return false }
            guard let remoteUsernameFragment else { return true }
            return username.dropFirst(usernameFragment.count + 1).elementsEqual(remoteUsernameFragment)
        }
    }

    private struct Path {
        let address: NetworkAddress
        var lastCheck: MonotonicTime
    }

    private var current: Generation
    /// Offered by a restart and not nominated yet.
    private var pending: Generation?
    private var paths: [Path] = []
    private var events: [ICEEvent] = []
    private var lastCheck: MonotonicTime?
    private var failures = (count: 0, since: MonotonicTime.zero)
    /// Where to send; nil before the first nomination.
    package private(set) var selectedPath: NetworkAddress?

    package init(credentials: ICECredentials) {
        current = Generation(credentials)
        paths.reserveCapacity(Self.pathLimit)
    }

    /// The newest credentials, as the next description must carry them.
    package var credentials: ICECredentials {
        (pending ?? current).credentials
    }

    /// The peer's fragment for the newest generation. Until it is known any is accepted: checks may outrun the answer.
    package mutating func setRemoteUsernameFragment(_ fragment: String) {
        if pending != nil {
            pending?.remoteUsernameFragment = Array(fragment.utf8)
        } else {
            current.remoteUsernameFragment = Array(fragment.utf8)
        }
    }

    /// Starts a new generation, RFC 8445 §9. A generation that was never nominated is retired at once.
    package mutating func restart(with credentials: ICECredentials) {
        if let pending { events.append(.usernameFragmentRetired(pending.credentials.usernameFragment)) }
        pending = Generation(credentials)
    }

    /// True when so many checks had a wrong password lately that one from an unknown address is not worth its price.
    /// Costs next to nothing, unlike a look at the check. The peer's own known paths, and with them consent, are not
    /// touched.
    package func turnsAway(_ address: NetworkAddress, at now: MonotonicTime) -> Bool {
        failures.count >= Self.failureLimit && isFailureWindow(at: now) && !isValidPath(address)
    }

    private func isFailureWindow(at now: MonotonicTime) -> Bool {
        now.milliseconds(since: failures.since) < Self.failureWindowMilliseconds
    }

    /// Answers one STUN datagram.
    ///
    /// `response` is emptied; what it holds afterwards goes back to `address`, also after some refusals. An unknown
    /// user name gets no answer: whoever does not know our fragment learns nothing and cannot aim us at others.
    /// No answer is longer than three times its request.
    package mutating func receive(
        _ datagram: UnsafeRawBufferPointer,
        from address: NetworkAddress,
        at now: MonotonicTime,
        response: inout ByteWriter
    ) -> Disposition {
        response.removeAll()
        guard datagram.count <= Self.requestByteLimit else { return .dropped(.tooLong) }
        guard !turnsAway(address, at: now) else { return .dropped(.stunTooManyFailures) }
        let message: STUNMessage
        do throws(STUNError) {
            message = try STUNMessage(reading: datagram)
        } catch {
            return .dropped(.stunMalformed)
        }
        guard message.messageClass == .request, message.method == STUNMessage.bindingMethod else {
            return .dropped(.stunNotARequest)
        }
        if let offset = message.fingerprintOffset, !STUNFingerprint.isValid(datagram, at: offset) {
            return .dropped(.stunWrongFingerprint)
        }
        guard let range = message.username else { return .dropped(.stunUnknownUsername) }
        let username = UnsafeRawBufferPointer(rebasing: datagram[range])
        let isPending: Bool
        if let pending, pending.owns(username) {
            isPending = true
        } else if current.owns(username) {
            isPending = false
        } else {
            return .dropped(.stunUnknownUsername)
        }
        let password = isPending ? pending?.password ?? [] : current.password

        // RFC 8489 §9.1.3: these two answers carry no MESSAGE-INTEGRITY.
        guard let integrityOffset = message.integrityOffset else {
            refuse(message, .badRequest, password: nil, into: &response)
            return .dropped(.stunMissingIntegrity)
        }
        guard MessageIntegrity.isValid(datagram, at: integrityOffset, key: password) else {
            noteFailure(at: now)
            if failures.count <= Self.failureLimit {
                refuse(message, .unauthenticated, password: nil, into: &response)
            }
            return .dropped(.stunWrongIntegrity)
        }
        guard message.unknownAttributeCount == 0 else {
            refuse(message, .unknownAttribute, password: password, into: &response)
            return .dropped(.stunUnknownAttribute)
        }
        // A lite agent cannot become controlling, so it always asks the peer to switch, RFC 8445 §7.3.1.1.
        if case .controlled = message.role {
            refuse(message, .roleConflict, password: password, into: &response)
            return .dropped(.iceRoleConflict)
        }

        response.writeSTUNHeader(.successResponse, transactionID: message.transactionID)
        response.writeSTUNMappedAddress(address, transactionID: message.transactionID)
        response.writeMessageIntegrity(key: password)
        response.writeSTUNFingerprint()

        lastCheck = now
        notePath(address, at: now)
        if message.usesCandidate { nominate(address, isPending: isPending) }
        return .accepted
    }

    /// The oldest event not yet taken; nil when drained.
    package mutating func nextEvent() -> ICEEvent? {
        events.isEmpty ? nil : events.removeFirst()
    }

    package func state(at now: MonotonicTime) -> ICEState {
        guard let lastCheck else { return .new }
        let silence = now.milliseconds(since: lastCheck)
        if silence >= Self.failedAfterMilliseconds { return .failed }
        guard selectedPath != nil else { return .checking }
        return silence >= Self.disconnectedAfterMilliseconds ? .disconnected : .connected
    }

    /// When silence will next change ``state(at:)``; nil when it will not.
    package func nextDeadline(after now: MonotonicTime) -> MonotonicTime? {
        guard let lastCheck else { return nil }
        let disconnected = lastCheck.advanced(byMilliseconds: Self.disconnectedAfterMilliseconds)
        let failed = lastCheck.advanced(byMilliseconds: Self.failedAfterMilliseconds)
        if now < disconnected, selectedPath != nil { return disconnected }
        return now < failed ? failed : nil
    }

    /// True when a check with our password came from `address`, so that media from it may be believed to be the peer's.
    package func isValidPath(_ address: NetworkAddress) -> Bool {
        paths.contains { $0.address == address }
    }

    /// Our user name fragment as a request names it, for finding the peer before anything else is parsed.
    ///
    /// Nil when `datagram` is no STUN message, has no USERNAME, or none with a colon. The bytes lie in `datagram`.
    package static func localUsernameFragment(of datagram: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard STUNMessage.isSTUN(datagram), datagram.count <= requestByteLimit else { return nil }
        do throws(STUNError) {
            guard let range = try STUNMessage(reading: datagram).username,
                let colon = datagram[range].firstIndex(of: UInt8(ascii: ":"))
            else { return nil }
            return UnsafeRawBufferPointer(rebasing: datagram[range.lowerBound..<colon])
        } catch {
            return nil
        }
    }

    private mutating func nominate(_ address: NetworkAddress, isPending: Bool) {
        if isPending, let next = pending {
            events.append(.usernameFragmentRetired(current.credentials.usernameFragment))
            current = next
            pending = nil
        }
        if selectedPath != address {
            selectedPath = address
            events.append(.pathSelected(address))
        }
    }

    private mutating func noteFailure(at now: MonotonicTime) {
        if !isFailureWindow(at: now) { failures = (0, now) }
        failures.count += 1
    }

    private mutating func notePath(_ address: NetworkAddress, at now: MonotonicTime) {
        if let known = paths.firstIndex(where: { $0.address == address }) {
            paths[known].lastCheck = now
            return
        }
        if paths.count == Self.pathLimit,
            let oldest = paths.indices.filter({ paths[$0].address != selectedPath })
                .min(by: { paths[$0].lastCheck < paths[$1].lastCheck })
        {
            events.append(.pathRemoved(paths.remove(at: oldest).address))
        }
        paths.append(Path(address: address, lastCheck: now))
        events.append(.pathAdded(address))
    }

    private func refuse(
        _ message: STUNMessage, _ code: STUNErrorCode, password: [UInt8]?, into response: inout ByteWriter
    ) {
        response.writeSTUNHeader(.errorResponse, transactionID: message.transactionID)
        response.writeSTUNError(code)
        if code == .unknownAttribute { response.writeSTUNUnknownAttributes(of: message) }
        if let password { response.writeMessageIntegrity(key: password) }
        response.writeSTUNFingerprint()
    }
}
