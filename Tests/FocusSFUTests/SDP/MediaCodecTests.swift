// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Codec matching, RFC 6184 §8.2.2")
struct MediaCodecTests {
    private func codec(_ mapping: String, _ parameters: String = "", payloadType: UInt8 = 96) -> MediaCodec? {
        var format = RTPFormat(payloadType: payloadType)
        let isMapped = format.readMapping(mapping)
        #expect(isMapped)
        format.parameters = FormatParameters(parameters)
        return MediaCodec(format)
    }

    @Test("codecs are known by name, clock rate and channels")
    func names() {
        #expect(codec("OPUS/48000/2") == .opus)
        #expect(codec("opus/48000") == nil)
        #expect(codec("red/48000/2") == .red)
        #expect(codec("red/90000") == nil)
        #expect(codec("vp8/90000") == .vp8)
        #expect(codec("VP9/90000") == .vp9)
        #expect(codec("VP9/90000", "profile-id=2") == nil)
        #expect(codec("AV1/90000", "level-idx=5;profile=0;tier=0") == .av1)
        #expect(codec("AV1/90000", "profile=1") == nil)
        #expect(codec("H265/90000") == nil)
    }

    @Test("payload types that look like RTCP are not used")
    func payloadTypes() {
        #expect(codec("VP8/90000", payloadType: 72) == nil)
        #expect(codec("VP8/90000", payloadType: 35) == .vp8)
    }

    @Test("H.264 profiles come from profile_idc and constraint flags, table 5")
    func profiles() {
        func h264(_ profile: String, mode: String = "1") -> MediaCodec? {
            codec("H264/90000", "packetization-mode=\(mode);profile-level-id=\(profile)")
        }
        #expect(h264("42e01f") == .h264(.constrainedBaseline, .nonInterleaved))
        #expect(h264("42C02A", mode: "0") == .h264(.constrainedBaseline, .singleNALUnit))
        #expect(h264("42001f") == .h264(.baseline, .nonInterleaved))
        #expect(h264("4d801f") == .h264(.constrainedBaseline, .nonInterleaved))
        #expect(h264("58c01f") == .h264(.constrainedBaseline, .nonInterleaved))
        #expect(h264("58801f") == .h264(.baseline, .nonInterleaved))
        for refused in ["4d001f", "64001f", "640c1f", "f4001f", "42e0", "zzzzzz", "+2e01f"] {
            #expect(h264(refused) == nil)
        }
        #expect(h264("42e01f", mode: "2") == nil)
        #expect(codec("H264/90000") == .h264(.baseline, .singleNALUnit))
    }

    @Test("a receiver of mode 1 covers mode 0, never the other way")
    func decodability() {
        let single = MediaCodec.h264(.constrainedBaseline, .singleNALUnit)
        let full = MediaCodec.h264(.constrainedBaseline, .nonInterleaved)
        #expect(full.decodability(by: full) == .exact)
        #expect(single.decodability(by: full) == .covered)
        #expect(full.decodability(by: single) == .none)
        #expect(full.decodability(by: .h264(.baseline, .nonInterleaved)) == .covered)
        #expect(full.decodability(by: .vp8) == .none)
    }

    @Test("the payload types of our offers differ and stay clear of RTCP")
    func ownPayloadTypes() {
        let codecs: [MediaCodec] = [
            .opus, .red, .vp8, .vp9, .av1, .h264(.constrainedBaseline, .singleNALUnit),
            .h264(.constrainedBaseline, .nonInterleaved), .h264(.baseline, .singleNALUnit),
            .h264(.baseline, .nonInterleaved),
        ]
        let types = codecs.map(CodecPreferences.payload(for:)).flatMap { [$0.payloadType, $0.rtxPayloadType] }
            .compactMap(\.self)
        #expect(Set(types).count == types.count)
        #expect(types.allSatisfy { $0 < 128 && !(64...95 ~= $0) })
    }

    @Test("extension ids of our offers fit one byte and every URI is found again")
    func extensions() {
        for known in HeaderExtension.allCases {
            #expect(HeaderExtension(uri: known.uri) == known)
            #expect(1...14 ~= known.offeredID)
            var ids = HeaderExtensionIDs()
            ids[known] = 9
            #expect(HeaderExtension.allCases.filter { ids[$0] == 9 } == [known])
        }
    }
}
