// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

extension VideoCodec {
    /// Nil for audio.
    init?(_ name: CodecName) {
        switch name {
        case .vp8: self = .vp8
        case .vp9: self = .vp9
        case .h264: self = .h264
        case .av1: self = .av1
        case .opus, .red: return nil
        }
    }
}
