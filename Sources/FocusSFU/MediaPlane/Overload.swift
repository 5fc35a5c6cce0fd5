// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a worker does when packets come faster than it can forward them: it sheds video before sound, and packets that
/// other pictures depend on last, so that the kernel does not have to drop at random.
///
/// How far behind the worker is shows in its socket's receive buffer. Shedding starts at a threshold and ends at a
/// lower one.
struct Overload {
    /// Percent of the receive buffer at which packets outside key frames are shed, then key frames as well.
    static let videoPercent: UInt32 = 40
    static let keyFramePercent: UInt32 = 75
    /// Below it nothing is shed any more.
    static let restPercent: UInt32 = 10

    private enum Level {
        case none
        case video
        case keyFrames
    }

    private var level = Level.none

    var isShedding: Bool { level != .none }

    mutating func note(backlogPercent: UInt32) {
        if backlogPercent >= Self.keyFramePercent {
            level = .keyFrames
        } else if backlogPercent >= Self.videoPercent {
            level = .video
        } else if backlogPercent < Self.restPercent {
            level = .none
        } else if level == .keyFrames {
            level = .video
        }
    }

    /// Why a video packet is not forwarded now; nil when it is.
    func refusal(isKeyFrame: Bool) -> DropReason? {
        switch level {
        case .none: nil
        case .video: isKeyFrame ? nil : .overloadVideo
        case .keyFrames: isKeyFrame ? .overloadKeyFrame : .overloadVideo
        }
    }
}
