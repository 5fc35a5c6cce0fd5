// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The keys of one participant whose frames we receive, by index, newest wins.
///
/// A sender may ratchet its key without a word; where frames fail, the next keys of its chain are tried. A key under
/// which frames keep failing is given up until it is replaced, so that a stream of noise costs little. Both are of the
/// one stream that a ring is used for.
package struct MediaKeyRing: Sendable {
    /// Ratchet steps that are tried.
    package static let ratchetWindow = 10
    /// Frames that may fail in a row.
    package static let failureTolerance = 10

    private struct Slot: Sendable {
        var key: MediaKey
        var cipher: FrameCipher
        var failures = 0
    }

    var serverFrames: ServerFrames
    private var slots: [Slot?] = Array(repeating: nil, count: 256)

    package init(serverFrames: ServerFrames = .none) {
        self.serverFrames = serverFrames
    }

    /// Puts `key` at `index`, in place of what was there.
    package mutating func insert(_ key: MediaKey, at index: UInt8) throws(MediaKeyFault) {
        slots[Int(index)] = Slot(key: key, cipher: try key.makeCipher())
    }

    /// Forgets every key, as when the participant left.
    package mutating func removeAll() {
        slots = Array(repeating: nil, count: 256)
    }

    package func hasKey(at index: UInt8) -> Bool {
        slots[Int(index)] != nil
    }

    /// Whether the frame is one of this participant's, by the key that it names. Nothing follows from a failure.
    func opens(_ frame: [UInt8], codec: FrameCodec, using buffer: inout [UInt8]) -> Bool {
        guard let index = FrameCipher.keyIndex(of: frame), let slot = slots[Int(index)] else { return false }
        return (try? slot.cipher.open(frame, codec: codec, into: &buffer)) != nil
    }

    /// Decrypts with the key that the frame names. What a server put in and may put in is not encrypted.
    package mutating func open(_ frame: [UInt8], codec: FrameCodec) throws(FrameRefusal) -> [UInt8] {
        var plain: [UInt8] = []
        try open(frame, codec: codec, into: &plain)
        return plain
    }

    /// The same into `output`, in place of what was there. After a refusal it is empty.
    package mutating func open(
        _ frame: [UInt8], codec: FrameCodec, into output: inout [UInt8],
    ) throws(FrameRefusal) {
        output.removeAll(keepingCapacity: true)
        if let content = serverFrames.content(of: frame) {
            guard ServerFrames.isBlank(content) else { throw .serverContent }
            output += content
            return
        }
        guard let index = FrameCipher.keyIndex(of: frame) else { return }
        guard var slot = slots[Int(index)] else { throw .unknownKey(index: index) }
        guard slot.failures < Self.failureTolerance else { throw .distrustedKey(index: index) }
        do {
            try slot.cipher.open(frame, codec: codec, into: &output)
            if slot.failures > 0 {
                slot.failures = 0
                slots[Int(index)] = slot
            }
        } catch .authentication {
            if let (next, plain) = Self.openRatcheting(slot, frame: frame, codec: codec) {
                slots[Int(index)] = next
                output += plain
                return
            }
            slot.failures += 1
            slots[Int(index)] = slot
            throw .authentication
        }
    }

    /// Tries the keys that follow. A passphrase takes too long to derive from to be tried on a peer's word.
    private static func openRatcheting(_ slot: Slot, frame: [UInt8], codec: FrameCodec) -> (Slot, [UInt8])? {
        guard slot.key.derivation == .hkdf else { return nil }
        var key = slot.key
        for _ in 0..<ratchetWindow {
            guard let next = try? key.ratcheted(), let cipher = try? next.makeCipher() else { return nil }
            key = next
            if let plain = try? cipher.open(frame, codec: codec) {
                return (Slot(key: key, cipher: cipher), plain)
            }
        }
        return nil
    }
}
