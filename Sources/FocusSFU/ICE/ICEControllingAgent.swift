// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A full, controlling ICE agent with one component and one socket: the client's end of ``ICELiteAgent``, sans-IO.
///
///     candidates ── checks ──▶ one answers ── check with USE-CANDIDATE ──▶ answered: selected ── consent every 2.5 s
///
/// Nomination is the regular one (RFC 8445 §8.1.1): the candidate that answers first is the one. Requests of a peer
/// that is a full agent, too, are answered. There is no restart and no other path after the first.
package struct ICEControllingAgent: Sendable {
    package static let checkIntervalMilliseconds: UInt64 = 50
    /// RFC 7675 §5.1 asks for 5 s less a fifth at most; browsers take half of that.
    package static let consentIntervalMilliseconds: UInt64 = 2_500
    /// Candidates beyond this many are not looked at.
    package static let candidateLimit = 32

    /// One datagram to send.
    package struct Transmission: Equatable, Sendable {
        package var bytes: [UInt8]
        package var address: NetworkAddress
    }

    package let credentials: ICECredentials
    /// Where to send; nil before the nomination was answered.
    package private(set) var selectedPath: NetworkAddress?
    private let tieBreaker: UInt64
    /// The first 32 bits of our transactions; the rest says which check of which candidate it is.
    private let transactionHigh: UInt32
    private var remote: ICECredentials?
    private var candidates: [NetworkAddress] = []
    private var nominee: Int?
    private var round: UInt64 = 0
    private var nextCheck: MonotonicTime?
    private var transmissions: [Transmission] = []

    package init(credentials: ICECredentials, tieBreaker: UInt64, transactionHigh: UInt32) {
        self.credentials = credentials
        self.tieBreaker = tieBreaker
        self.transactionHigh = transactionHigh
    }

    /// The peer's credentials; checks begin with the next ``advance(to:)``.
    package mutating func setRemote(_ credentials: ICECredentials) {
        remote = credentials
    }

    /// An address of the peer, from its description or trickled.
    package mutating func add(_ address: NetworkAddress) {
        guard candidates.count < Self.candidateLimit, !candidates.contains(address) else { return }
        candidates.append(address)
        if selectedPath == nil { nextCheck = nil }
    }

    /// Sends the checks that are due.
    package mutating func advance(to now: MonotonicTime) {
        if let nextCheck, now < nextCheck { return }
        guard let remote, !candidates.isEmpty else { return }
        round &+= 1
        if let nominee {
            check(nominee, nominating: true, remote)
        } else {
            for index in candidates.indices { check(index, nominating: false, remote) }
        }
        let interval = selectedPath == nil ? Self.checkIntervalMilliseconds : Self.consentIntervalMilliseconds
        nextCheck = now.advanced(byMilliseconds: interval)
    }

    /// Takes one STUN datagram.
    package mutating func receive(
        _ datagram: UnsafeRawBufferPointer, from address: NetworkAddress, at now: MonotonicTime
    ) -> Disposition {
        let message: STUNMessage
        do throws(STUNError) {
            message = try STUNMessage(reading: datagram)
        } catch {
            return .dropped(.stunMalformed)
        }
        if message.messageClass == .request, message.method == STUNMessage.bindingMethod {
            return answer(message, datagram, from: address)
        }
        guard message.messageClass == .successResponse, message.transactionID.high == transactionHigh, let remote else {
            return .dropped(.stunNotARequest)
        }
        guard let offset = message.integrityOffset else { return .dropped(.stunMissingIntegrity) }
        guard MessageIntegrity.isValid(datagram, at: offset, key: Array(remote.password.utf8)) else {
            return .dropped(.stunWrongIntegrity)
        }
        let index = Int(truncatingIfNeeded: message.transactionID.low & 0xFF)
        guard candidates.indices.contains(index), nominee == nil || nominee == index else { return .accepted }
        if message.transactionID.low & Self.nominatingFlag != 0 {
            if selectedPath == nil {
                selectedPath = candidates[index]
                nextCheck = now.advanced(byMilliseconds: Self.consentIntervalMilliseconds)
            }
        } else if nominee == nil {
            nominee = index
            nextCheck = nil
            advance(to: now)
        }
        return .accepted
    }

    package mutating func nextTransmission() -> Transmission? {
        transmissions.isEmpty ? nil : transmissions.removeFirst()
    }

    private static let nominatingFlag: UInt64 = 0x100

    private mutating func check(_ index: Int, nominating: Bool, _ remote: ICECredentials) {
        var writer = ByteWriter(reservingCapacity: 128)
        let low = round << 16 | (nominating ? Self.nominatingFlag : 0) | UInt64(index)
        writer.writeSTUNHeader(.request, transactionID: .init(high: transactionHigh, low: low))
        writer.writeSTUNUsername("\(remote.usernameFragment):\(credentials.usernameFragment)".utf8)
        writer.writeSTUNPriority(Candidate.priority(.peerReflexive, localPreference: .max, component: 1))
        writer.writeSTUNRole(.controlling(tieBreaker))
        if nominating { writer.writeSTUNUseCandidate() }
        writer.writeMessageIntegrity(key: Array(remote.password.utf8))
        writer.writeSTUNFingerprint()
        transmissions.append(Transmission(bytes: writer.bytes, address: candidates[index]))
    }

    /// RFC 8445 §7.3: a check of the peer with our password, answered with where it came from.
    private mutating func answer(
        _ message: STUNMessage, _ datagram: UnsafeRawBufferPointer, from address: NetworkAddress
    ) -> Disposition {
        guard let range = message.username,
            datagram[range].starts(with: Array("\(credentials.usernameFragment):".utf8))
        else { return .dropped(.stunUnknownUsername) }
        let key = Array(credentials.password.utf8)
        guard let offset = message.integrityOffset else { return .dropped(.stunMissingIntegrity) }
        guard MessageIntegrity.isValid(datagram, at: offset, key: key) else { return .dropped(.stunWrongIntegrity) }
        var writer = ByteWriter(reservingCapacity: 128)
        writer.writeSTUNHeader(.successResponse, transactionID: message.transactionID)
        writer.writeSTUNMappedAddress(address, transactionID: message.transactionID)
        writer.writeMessageIntegrity(key: key)
        writer.writeSTUNFingerprint()
        transmissions.append(Transmission(bytes: writer.bytes, address: address))
        // A peer whose candidates never came is where its checks come from.
        if candidates.isEmpty { add(address) }
        return .accepted
    }
}
