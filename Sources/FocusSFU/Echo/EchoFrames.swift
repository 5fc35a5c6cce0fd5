// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What is done to frames of sound between their arrival and their way back: the place for opening and sealing them.
/// Opus in one packet is a whole frame.
package protocol EchoFrames: Sendable {
    /// Whether what goes back is encrypted for those who hear it; they are told so.
    var areSealed: Bool { get }

    /// The bytes are known that end the frames which the focus makes up itself.
    func joined(serverTrailer: [UInt8])

    /// The streams that frames may come in from now on.
    func hears(_ streams: Set<UInt32>)

    /// A frame as its sender made it, from what came in the stream `ssrc`; nil when it goes no further.
    func open(_ payload: [UInt8], from ssrc: UInt32) -> [UInt8]?

    /// What to send of a frame in our stream `ssrc`; nil when it cannot be sent.
    func seal(_ frame: [UInt8], as ssrc: UInt32, at timestamp: UInt32) -> [UInt8]?
}

/// For calls without frame encryption: frames go back as they came.
package struct ClearEchoFrames: EchoFrames {
    package init() {}

    package var areSealed: Bool { false }

    package func joined(serverTrailer: [UInt8]) {}

    package func hears(_ streams: Set<UInt32>) {}

    package func open(_ payload: [UInt8], from ssrc: UInt32) -> [UInt8]? { payload }

    package func seal(_ frame: [UInt8], as ssrc: UInt32, at timestamp: UInt32) -> [UInt8]? { frame }
}
