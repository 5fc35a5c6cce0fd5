// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// One row of what a device remembers.
package struct OlmRecord: Equatable, Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        /// Our account; one row.
        case account
        /// The seeds of our cross-signing keys, sealed; one row.
        case seeds
        /// The fallback key before the current one, while it is usable; one row.
        case oldFallbackKey
        /// How often the device's memory was marked as new; one row.
        case generation
        /// That a fallback key was made; one row.
        case fallbackKey
        /// Where the next catch-up sync begins; one row.
        case syncToken
        /// Olm sessions, by the other device. Not by its curve25519 key: whoever knows that can publish it as theirs.
        case session
        /// Verified keys of devices, by user.
        case device
        /// Users whose devices were asked for; `touched` is when, 0 when they have changed since.
        case user
        /// Digests of Olm messages that were decrypted.
        case seen
        /// Messages that wait for the keys of their sender's devices, by the sender's server.
        case waiting
        /// Devices to which a fresh session was made because an old one was broken, and when; with the owner `due`,
        /// those to which it is still to be made.
        case renewal
        /// Megolm sessions of others, by their user: those that an event of the room was read with, and those not.
        case inbound
        case unprovenInbound
        /// Which event used which index, by user and Megolm session.
        case index
        /// Our Megolm session, by room.
        case outbound
        /// Rooms that are encrypted, for ever.
        case encryptedRoom
        /// Who has the key of our Megolm session, by session; with an empty key, that all of them are here.
        case share
    }

    package var kind: Kind
    package var owner: String
    package var key: String
    package var value: [UInt8]
    /// When it was last of use.
    package var touched: UnixMilliseconds

    package init(_ kind: Kind, owner: String = "", key: String = "", value: [UInt8] = [], touched: UnixMilliseconds) {
        self.kind = kind
        self.owner = owner
        self.key = key
        self.value = value
        self.touched = touched
    }

    init(_ kind: Kind, owner: String = "", key: String = "", json: JSONObject, touched: UnixMilliseconds) {
        self.init(kind, owner: owner, key: key, value: JSONValue.object(json).compactJSON, touched: touched)
    }

    /// The value as JSON; nil when it is something else.
    var json: JSONObject? { (try? JSONValue.parse(value))?.object }
}

/// Where a device's memory is kept. All that one call of ``OlmDevice`` stores belongs together, with whatever its
/// caller stores because of it: a ratchet that moved on without its message can not be moved back.
package protocol OlmStore {
    func record(_ kind: OlmRecord.Kind, owner: String, key: String) throws -> OlmRecord?
    /// The last touched first.
    func records(_ kind: OlmRecord.Kind, owner: String) throws -> [OlmRecord]
    func count(_ kind: OlmRecord.Kind) throws -> Int
    /// The owner with the most records of the kind; nil when there are none.
    func fullestOwner(_ kind: OlmRecord.Kind) throws -> (owner: String, count: Int)?
    /// Every owner of records of the kind.
    func owners(_ kind: OlmRecord.Kind) throws -> [String]
    /// Stores in place of one with the same kind, owner and key.
    func put(_ record: OlmRecord) throws
    func remove(_ kind: OlmRecord.Kind, owner: String, key: String) throws
    /// All of an owner.
    func removeAll(_ kind: OlmRecord.Kind, owner: String) throws
    /// Keeps the last touched `count` of an owner, or of the whole kind when there is no owner.
    func trim(_ kind: OlmRecord.Kind, owner: String?, to count: Int) throws
    /// Those touched before `time`, removed.
    ///
    /// - Returns: how many.
    func removeOlder(_ kind: OlmRecord.Kind, than time: UnixMilliseconds) throws -> Int
    /// Forgets everything.
    func clear() throws
}
