// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A frame of sound on its way back to where it came from.
package struct EchoFrame: Sendable {
    /// What arrived; Opus in one packet is a whole frame.
    package var payload: [UInt8]
    /// The stream it came in.
    package var receivedSSRC: UInt32
    /// As it will be sent.
    package var ssrc: UInt32
    package var timestamp: UInt32
}

/// What is done to frames between their arrival and their way back: the place for opening and sealing them.
package protocol EchoFrames: Sendable {
    /// Whether what goes back is encrypted for those who hear it; they are told so.
    var areSealed: Bool { get }
    /// The bytes are known that end the frames which the focus makes up itself.
    func joined(serverTrailer: [UInt8])

    /// The payload to send; nil when the frame goes no further.
    func payload(answering frame: EchoFrame) -> [UInt8]?
}

/// For calls without frame encryption: frames go back as they came.
package struct ClearEchoFrames: EchoFrames {
    package init() {}

    package var areSealed: Bool { false }

    package func joined(serverTrailer: [UInt8]) {}

    package func payload(answering frame: EchoFrame) -> [UInt8]? { frame.payload }
}
