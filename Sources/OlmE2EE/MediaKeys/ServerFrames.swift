// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Frames that a server puts into an encrypted stream, such as silence for a track that was muted.
///
/// They end in bytes that the server made up for the room and told everybody (`sif_trailer` of LiveKit's join
/// response). A server has no key, so their content is not encrypted; nothing counts as such a frame's content but the
/// few blank ones that everybody knows. Else a server could put words into somebody's mouth.
package struct ServerFrames: Equatable, Sendable {
    /// The longest trailer that is taken, bytes.
    package static let maximumTrailerByteCount = 64

    private let trailer: [UInt8]

    /// No frame counts as the server's.
    package static let none = ServerFrames(trailer: [])

    /// - Parameter trailer: of the room; one of no bytes, or of too many, marks no frame.
    package init(trailer: [UInt8]) {
        self.trailer = trailer.count <= Self.maximumTrailerByteCount ? trailer : []
    }

    /// The frame without its trailer. Nil for a frame that is not the server's.
    func content(of frame: [UInt8]) -> ArraySlice<UInt8>? {
        guard !trailer.isEmpty, frame.suffix(trailer.count) == trailer[...] else { return nil }
        return frame.dropLast(trailer.count)
    }

    /// Whether the content is one that a server may make up.
    static func isBlank(_ content: ArraySlice<UInt8>) -> Bool {
        blanks.contains { $0[...] == content }
    }

    static let blanks = [opusSilence, vp8KeyFrame, h264Sequence, h264Picture, h264KeyFrame]

    /// 20 ms of silence, padded.
    static let opusSilence: [UInt8] = [0xF8, 0xFF, 0xFE] + [UInt8](repeating: 0, count: 77)
    /// 8 by 8 pixels.
    static let vp8KeyFrame: [UInt8] = [
        0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x08, 0x00, 0x08, 0x00, 0x00, 0x47, 0x08, 0x85, 0x85, 0x88, 0x85, 0x84,
        0x88, 0x02, 0x02, 0x00, 0x0C, 0x0D, 0x60, 0x00, 0xFE, 0xFF, 0xAB, 0x50, 0x80,
    ]
    /// 2 by 2 pixels, in three NAL units.
    static let h264Sequence: [UInt8] = [
        0x67, 0x42, 0xC0, 0x1F, 0x0F, 0xD9, 0x1F, 0x88, 0x88, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03,
        0x00, 0xC8, 0x3C, 0x60, 0xC9, 0x20,
    ]
    static let h264Picture: [UInt8] = [0x68, 0x87, 0xCB, 0x83, 0xCB, 0x20]
    static let h264KeyFrame: [UInt8] = [0x65, 0x88, 0x84, 0x0A, 0xF2, 0x62, 0x80, 0x00, 0xA7, 0xBE]
}
