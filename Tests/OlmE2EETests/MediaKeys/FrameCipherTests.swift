// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COpenSSLShims
import Testing

@testable import OlmE2EE

@Suite("Frame encryption as in LiveKit's clients")
struct FrameCipherTests {
    static let codecs: [FrameCodec] = [
        .opus, .vp8, .vp9, .h264, .h265, .unknown(isKeyFrame: true), .unknown(isKeyFrame: false),
    ]
    static let key = Result { try MediaKey(bytes: Array(0..<16)) }

    private func frame(_ codec: FrameCodec, payload: Int = 40) -> [UInt8] {
        let start: [UInt8] =
            switch codec {
            case .opus, .vp9: [0x78]
            case .vp8: [0x10, 0, 0, 0x9D, 1, 0x2A, 8, 0, 8, 0]
            case .h264: [0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x65, 0x88]
            case .h265: [0, 0, 0, 1, 0x26, 1]
            case .unknown: [UInt8](repeating: 1, count: 10)
            }
        return start + (0..<payload).map { UInt8(truncatingIfNeeded: $0 % 3) }
    }

    private func sealed(_ codec: FrameCodec, payload: Int = 40) throws -> [UInt8] {
        var sealer = try FrameSealer(key: Self.key.get(), keyIndex: 7, ssrc: 1, counter: 0)
        return try sealer.seal(frame(codec, payload: payload), codec: codec, timestamp: 1000)
    }

    @Test("an Opus frame as a browser encrypts it")
    func vector() throws {
        var sealer = try FrameSealer(key: Self.key.get(), keyIndex: 0, ssrc: 0x1122_3344, counter: 5)
        let sealed = try sealer.seal([0x78] + Array("hello opus".utf8), codec: .opus, timestamp: 65_536)
        #expect(
            hexadecimal(sealed)
                == "789c1bebe7c01199d8698d70db6de519cd1113e81ea9a710a1e78611223344000100000000fffb0c00"
        )
        #expect(try Self.key.get().makeCipher().open(sealed, codec: .opus) == [0x78] + Array("hello opus".utf8))
    }

    @Test("AES-128-GCM, test case 4 of the GCM specification")
    func gcm() {
        let key = bytes("feffe9928665731c6d6a8f9467308308")
        let nonce = bytes("cafebabefacedbaddecaf888")
        let associated = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2")
        let plain = bytes(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
        )
        var sealed = [UInt8](repeating: 0, count: 76)
        #expect(COpenSSLShims_aes128_gcm_seal(key, nonce, associated, 20, plain, 60, &sealed) == 1)
        #expect(
            hexadecimal(sealed)
                == "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
                + "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
                + "5bc94fbc3221a5db94fae95ae7121a47"
        )
        var opened = [UInt8](repeating: 0, count: 60)
        #expect(COpenSSLShims_aes128_gcm_open(key, nonce, associated, 20, sealed, 60, &opened) == 1)
        #expect(opened == plain)
    }

    @Test("every codec goes there and back, its start stays readable", arguments: codecs)
    func roundTrip(codec: FrameCodec) throws {
        for payload in [0, 1, 40, 5000] {
            let plain = frame(codec, payload: payload)
            guard let clear = codec.clearByteCount(of: plain) else { continue }
            let sealed = try sealed(codec, payload: payload)
            #expect(sealed[..<clear] == plain[..<clear])
            #expect(sealed.suffix(2) == [12, 7])
            #expect(try Self.key.get().makeCipher().open(sealed, codec: codec) == plain)
        }
    }

    @Test("frames without bytes pass unchanged", arguments: codecs)
    func empty(codec: FrameCodec) throws {
        var sealer = try FrameSealer(key: Self.key.get(), keyIndex: 0, ssrc: 1, counter: 0)
        #expect(try sealer.seal([], codec: codec, timestamp: 0).isEmpty)
        #expect(try Self.key.get().makeCipher().open([], codec: codec).isEmpty)
    }

    @Test("a frame cut anywhere is refused", arguments: codecs)
    func truncations(codec: FrameCodec) throws {
        let sealed = try sealed(codec)
        let cipher = try Self.key.get().makeCipher()
        for length in 1..<sealed.count {
            #expect(throws: FrameRefusal.self, "length \(length)") {
                try cipher.open(Array(sealed.prefix(length)), codec: codec)
            }
        }
    }

    @Test("a change of any byte but the key index is refused", arguments: [FrameCodec.opus, .vp9, .vp8])
    func mutations(codec: FrameCodec) throws {
        let sealed = try sealed(codec)
        let cipher = try Self.key.get().makeCipher()
        for offset in 0..<sealed.count - 1 {
            var mutated = sealed
            mutated[offset] ^= 0x10
            #expect(throws: FrameRefusal.self, "offset \(offset)") { try cipher.open(mutated, codec: codec) }
        }
    }

    @Test("noise is refused, not trapped", arguments: codecs)
    func noise(codec: FrameCodec) throws {
        let cipher = try Self.key.get().makeCipher()
        for length in 1..<80 {
            for fill: UInt8 in [0, 1, 3, 12, 0xFF] {
                let noise = [UInt8](repeating: fill, count: length)
                #expect(throws: FrameRefusal.self) { try cipher.open(noise, codec: codec) }
            }
        }
    }

    @Test("a nonce of another length is refused")
    func nonceLength() throws {
        var sealed = try sealed(.opus)
        sealed[sealed.count - 2] = 16
        #expect(throws: FrameRefusal.nonceLength(16)) {
            try Self.key.get().makeCipher().open(sealed, codec: .opus)
        }
    }

    @Test("another key opens nothing")
    func wrongKey() throws {
        let other = try MediaKey(bytes: [UInt8](repeating: 9, count: 32)).makeCipher()
        let sealed = try sealed(.opus)
        #expect(throws: FrameRefusal.authentication) { try other.open(sealed, codec: .opus) }
    }
}
