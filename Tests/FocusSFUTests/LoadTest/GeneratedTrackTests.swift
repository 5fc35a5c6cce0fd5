// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Generated media")
struct GeneratedTrackTests {
    private static func track(isVideo: Bool) -> GeneratedTrack {
        GeneratedTrack(
            number: 3, isVideo: isVideo,
            shape: isVideo
                ? .init(packetsPerSecond: 227, payloadBytes: 1_100) : .init(packetsPerSecond: 50, payloadBytes: 160),
            pacing: .steady)
    }

    @Test(
        "video looks like VP8: a key frame first, then others, each frame with its picture and its last packet marked")
    func video() throws {
        let track = Self.track(isVideo: true)
        var keyFrames: [Int] = []
        var frames = 0
        var lastSequence: UInt16?
        var lastTimestamp: UInt32?
        var endedFrame = true
        for index in 0..<227 {
            let packet = track.writePacket()
            let header = try RTPHeader(reading: packet)
            let payload = header.payload(of: packet)
            #expect(header.ssrc == track.ssrc)
            #expect(header.payloadType == ClientDescription.vp8)
            #expect(payload.count == 1_100)
            if let lastSequence { #expect(header.sequence == lastSequence &+ 1) }
            let descriptor = try VP8Descriptor(reading: payload)
            #expect(descriptor.startsFrame == endedFrame)
            #expect(descriptor.pictureID == UInt16(frames - (descriptor.startsFrame ? 0 : 1)))
            if let lastTimestamp { #expect(header.timestamp == lastTimestamp &+ (descriptor.startsFrame ? 3_000 : 0)) }
            if descriptor.startsFrame { frames += 1 }
            if descriptor.isKeyFrame(payload) { keyFrames.append(index) }
            #expect(GeneratedTrack.Mark(endOf: packet)?.track == 3)
            #expect(GeneratedTrack.Mark(endOf: packet)?.packet == UInt32(index))
            (lastSequence, lastTimestamp, endedFrame) = (header.sequence, header.timestamp, header.marker)
            if index == 100 { track.requestKeyFrame() }
            track.advance()
        }
        #expect(frames == 30)
        // Asked for within the frame that packets 99 to 105 make.
        #expect(keyFrames == [0, 106])
    }

    @Test("audio carries its level and says that somebody talks")
    func audio() throws {
        let track = Self.track(isVideo: false)
        for index in 0..<3 {
            let packet = track.writePacket()
            let header = try RTPHeader(reading: packet)
            #expect(header.payloadType == ClientDescription.opus)
            #expect(header.payload(of: packet).count == 160)
            let range = try #require(
                HeaderExtensions(of: packet, header: header).range(of: ClientDescription.audioLevelID))
            #expect(range.map { packet[$0] } == [0x80 | 20])
            #expect(GeneratedTrack.Mark(endOf: packet)?.packet == UInt32(index))
            track.advance()
        }
    }

    @Test("what others sent has no mark")
    func foreign() {
        for count in [0, 11, 12, 500] {
            [UInt8](repeating: 0x55, count: count).withUnsafeBytes { #expect(GeneratedTrack.Mark(endOf: $0) == nil) }
        }
    }
}
