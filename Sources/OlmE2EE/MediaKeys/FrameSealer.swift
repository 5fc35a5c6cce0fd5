// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Encrypts the frames of one stream that we send: one SSRC under one key.
///
/// The nonce is SSRC, RTP timestamp and `timestamp - (counter mod 65535)`, each 32 bits, big-endian. The counter grows
/// with each frame; whoever uses an SSRC again after a restart needs a new key. When the timestamps have gone once
/// around (13 hours at 90 kHz) the key is used up.
package struct FrameSealer: Sendable {
    package let ssrc: UInt32
    package let keyIndex: UInt8
    private static let counterModulus: UInt32 = 65_535
    private let cipher: FrameCipher
    /// Below the modulus.
    private var counter: UInt32
    private var lastTimestamp: UInt32?
    /// Ticks since the first frame.
    private var elapsedTicks: UInt64 = 0
    /// Frames with `lastTimestamp`.
    private var repeats = 0

    /// - Parameter counter: Where to start; random.
    package init(key: MediaKey, keyIndex: UInt8, ssrc: UInt32, counter: UInt32) throws(MediaKeyFault) {
        cipher = try key.makeCipher()
        self.keyIndex = keyIndex
        self.ssrc = ssrc
        self.counter = counter % Self.counterModulus
    }

    /// - Parameter timestamp: That of the frame's RTP packets; never earlier than the one before.
    package mutating func seal(
        _ frame: [UInt8],
        codec: FrameCodec,
        timestamp: UInt32
    ) throws(FrameRefusal) -> [UInt8] {
        guard !frame.isEmpty else { return [] }
        let step = timestamp &- (lastTimestamp ?? timestamp)
        guard step <= UInt32(Int32.max) else { throw .timestampWentBack }
        let elapsed = elapsedTicks + UInt64(step)
        let count = step == 0 ? repeats + 1 : 1
        guard elapsed <= UInt64(UInt32.max), count < Int(Self.counterModulus) else { throw .keyExhausted }

        let nonce = FrameNonce(ssrc: ssrc, timestamp: timestamp, counter: counter)
        let sealed = try cipher.seal(frame, codec: codec, keyIndex: keyIndex, nonce: nonce)
        counter = (counter + 1) % Self.counterModulus
        lastTimestamp = timestamp
        elapsedTicks = elapsed
        repeats = count
        return sealed
    }
}

/// The nonce of a frame: three words of 32 bits, big-endian.
struct FrameNonce {
    var ssrc: UInt32
    var timestamp: UInt32
    var counter: UInt32

    func append(to bytes: inout [UInt8]) {
        append(ssrc, to: &bytes)
        append(timestamp, to: &bytes)
        append(timestamp &- counter, to: &bytes)
    }

    private func append(_ word: UInt32, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: word.bigEndian) { bytes.append(contentsOf: $0) }
    }
}
