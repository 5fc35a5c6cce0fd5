// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Sends the frames of others back under our own key: one Opus frame, which is one packet, at a time.
///
/// Whose a stream is shows in whose key opens it, so that nobody needs to be believed about it. Each frame is opened
/// with the keys of its sender and sealed with ours. What fails in a stream, or goes on to the sender's next key there,
/// changes nothing for other streams: whoever sends on somebody else's frames shuts out only himself. Keys of those who
/// left must be taken away by whoever knows of it; how many have keys is bounded by ``MediaKeyInbox``.
package struct FrameEcho: Sendable {
    /// Streams that one key of ours may protect.
    package static let maximumStreams = 16
    /// Streams of others whose senders are remembered.
    package static let maximumSenders = 256

    /// What the server may put in.
    package var serverFrames = ServerFrames.none {
        didSet {
            for identity in rings.keys { rings[identity]?.serverFrames = serverFrames }
            for stream in streams.keys { streams[stream]?.ring.serverFrames = serverFrames }
        }
    }
    private let makeCounter: @Sendable () -> UInt32
    private struct Stream {
        var sender: String
        /// The sender's keys as this stream used them.
        var ring: MediaKeyRing
    }

    /// Frames of a stream that nobody's key opened, after which it is tried seldom.
    private static let missLimit = 5
    private static let missesBetweenTries = 50

    private var rings: [String: MediaKeyRing] = [:]
    /// Streams whose sender is known, by SSRC.
    private var streams: [UInt32: Stream] = [:]
    /// Frames in a row that nobody's key opened since the last key came, by SSRC.
    private var misses: [UInt32: Int] = [:]
    private var ownKey: NumberedMediaKey?
    private var sealers: [UInt32: FrameSealer] = [:]

    /// - Parameter makeCounter: random; where the nonces of a stream begin.
    package init(makeCounter: @escaping @Sendable () -> UInt32) {
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
        for stream in streams.keys where streams[stream]?.sender == identity {
            try streams[stream]?.ring.insert(key.key, at: key.index)
        }
        misses = [:]
    }

    /// Opens no frame of that participant any more.
    package mutating func forget(_ identity: String) {
        rings[identity] = nil
        streams = streams.filter { $0.value.sender != identity }
    }

    /// Only these streams go on.
    package mutating func keep(_ streams: Set<UInt32>) {
        self.streams = self.streams.filter { streams.contains($0.key) }
        misses = misses.filter { streams.contains($0.key) }
    }

    /// A frame of somebody else as it was before its sender encrypted it.
    ///
    /// - Parameter received: the SSRC of the stream it came in.
    package mutating func open(_ frame: [UInt8], from received: UInt32) throws(FrameRefusal) -> [UInt8] {
        guard !frame.isEmpty else { return [] }
        var plain: [UInt8] = []
        if streams[received] == nil { findSender(of: frame, in: received, using: &plain) }
        guard let position = streams.index(forKey: received) else { throw .unknownSender }
        do {
            try streams.values[position].ring.open(frame, codec: .opus, into: &plain)
        } catch .distrustedKey(let index) {
            // The stream may be another's by now.
            streams[received] = nil
            throw .distrustedKey(index: index)
        }
        return plain
    }

    /// Encrypts a frame for a stream of ours.
    ///
    /// - Parameter timestamp: of our packet; never earlier than the one before on this stream.
    package mutating func seal(
        _ frame: [UInt8], as ssrc: UInt32, at timestamp: UInt32,
    ) throws(FrameRefusal) -> [UInt8] {
        guard !frame.isEmpty else { return [] }
        try prepareSealer(ssrc)
        guard let position = sealers.index(forKey: ssrc) else { throw .noOwnKey }
        return try sealers.values[position].seal(frame, codec: .opus, timestamp: timestamp)
    }

    private mutating func findSender(of frame: [UInt8], in received: UInt32, using buffer: inout [UInt8]) {
        let missed = misses[received] ?? 0
        guard missed < Self.missLimit || missed % Self.missesBetweenTries == 0 else {
            return misses[received] = missed + 1
        }
        guard let (sender, ring) = rings.first(where: { $0.value.opens(frame, codec: .opus, using: &buffer) }) else {
            if misses.count >= Self.maximumSenders { misses = [:] }
            return misses[received] = missed + 1
        }
        misses[received] = nil
        if streams.count >= Self.maximumSenders { streams = [:] }
        streams[received] = Stream(sender: sender, ring: ring)
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
