// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One response for many clients, encoded once for each form in which they read it. Stays on one worker's thread.
package final class SignalBroadcast {
    private let response: LiveKitSignalResponse
    /// For clients that read binary frames, and for those that read text.
    private(set) lazy var binaryFrame = WebSocketConnection.Frame(binary: SignalCodec.encode(response))
    private(set) lazy var textFrame = WebSocketConnection.Frame(text: SignalCodec.encodeText(response))

    init(_ message: LiveKitSignalResponse.OneOf_Message) {
        var response = LiveKitSignalResponse()
        response.message = message
        self.response = response
    }
}
