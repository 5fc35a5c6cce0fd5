// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Sends the frames of others back under our own key: one Opus frame, which is one packet, at a time.
///
/// Each sender's frames are opened with the keys of that sender, and sealed with ours. The buffers are used again from
/// frame to frame. Keys of those who left must be taken away by whoever knows of it; the number of senders is bounded by
/// what ``MediaKeyInbox`` lets through.
package struct FrameEcho: Sendable {
    /// Streams that one key of ours may protect.
    package static let maximumStreams = 16

    private let serverFrames: ServerFrames
    private let makeCounter: @Sendable () -> UInt32
    private var rings: [String: MediaKeyRing] = [:]
    private var ownKey: NumberedMediaKey?
    private var sealers: [UInt32: FrameSealer] = [:]
    private var plain: [UInt8] = []

    /// - Parameters:
    ///   - serverFrames: what the server may put in.
    ///   - makeCounter: random; where the nonces of a stream begin.
    package init(serverFrames: ServerFrames, makeCounter: @escaping @Sendable () -> UInt32) {
        self.serverFrames = serverFrames
        self.makeCounter = makeCounter
    }

    /// Seals with this key from now on. The same key must not come twice, or nonces could.
    package mutating func use(_ key: NumberedMediaKey) {
        ownKey = key
        sealers = [:]
    }

    /// Opens frames of a participant with this key, too.
    package mutating func install(_ key: NumberedMediaKey, of identity: String) throws(MediaKeyFault) {
        try rings[identity, default: MediaKeyRing(serverFrames: serverFrames)].insert(key.key, at: key.index)
    }

    /// Opens no frame of that participant any more.
    package mutating func forget(_ identity: String) {
        rings[identity] = nil
    }

    /// Turns a frame of `identity` into one of ours. After a refusal it must not be sent; its content is undefined.
    ///
    /// - Parameters:
    ///   - ssrc: of our stream.
    ///   - timestamp: of our packet; never earlier than the one before on this stream.
    package mutating func echo(
        _ frame: inout [UInt8], of identity: String, ssrc: UInt32, timestamp: UInt32,
    ) throws(FrameRefusal) {
        guard !frame.isEmpty else { return }
        guard let position = rings.index(forKey: identity) else { throw .unknownSender }
        try rings.values[position].open(frame, codec: .opus, into: &plain)
        try prepareSealer(ssrc)
        guard let position = sealers.index(forKey: ssrc) else { throw .noOwnKey }
        try sealers.values[position].seal(plain, codec: .opus, timestamp: timestamp, into: &frame)
    }

    private mutating func prepareSealer(_ ssrc: UInt32) throws(FrameRefusal) {
        guard sealers[ssrc] == nil else { return }
        guard let ownKey else { throw .noOwnKey }
        guard sealers.count < Self.maximumStreams else { throw .tooManyStreams }
        do {
            sealers[ssrc] = try FrameSealer(
                key: ownKey.key, keyIndex: ownKey.index, ssrc: ssrc, counter: makeCounter())
        } catch {
            throw .cipher
        }
    }
}
