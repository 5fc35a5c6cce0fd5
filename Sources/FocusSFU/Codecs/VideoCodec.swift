// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A video codec, and the few questions routing asks of its RTP payload.
///
/// Only bytes that frame encryption leaves in the clear are read: payload descriptors, the first byte of a VP8 frame
/// and NAL unit headers. No answer depends on more, and no question reads past the payload.
package enum VideoCodec: UInt8, CaseIterable, Sendable {
    case vp8
    case vp9
    case h264
    case av1

    /// True for the packet with which a decoder that knows nothing can start.
    package func isKeyFrame(_ payload: UnsafeRawBufferPointer) -> Bool {
        do throws(ByteReaderError) {
            return switch self {
            case .vp8: try VP8Descriptor(reading: payload).isKeyFrame(payload)
            case .vp9: try VP9Descriptor(reading: payload).startsKeyFrame
            case .h264: try H264Payload(reading: payload).startsKeyFrame
            case .av1: try AV1AggregationHeader(reading: payload).startsCodedSequence
            }
        } catch {
            return false
        }
    }

    /// True when a frame, of its spatial layer, may begin with this packet.
    ///
    /// Exact for VP8 and VP9. For H264 and AV1 it says that no unit continues from the packet before; where frames have
    /// several units only a change of timestamp tells.
    package func startsFrame(_ payload: UnsafeRawBufferPointer) -> Bool {
        do throws(ByteReaderError) {
            return switch self {
            case .vp8: try VP8Descriptor(reading: payload).startsFrame
            case .vp9: try VP9Descriptor(reading: payload).startsFrame
            case .h264: try !H264Payload(reading: payload).continuesUnit
            case .av1: try !AV1AggregationHeader(reading: payload).continuesUnit
            }
        } catch {
            return false
        }
    }
}
