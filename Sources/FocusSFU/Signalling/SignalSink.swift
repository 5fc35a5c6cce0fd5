// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The way from a participant back to its client: an ordered stream of signal responses.
package protocol SignalSink: AnyObject, Sendable {
    /// Queues one response; never blocks. A client that does not read is disconnected by the socket's own bound.
    func send(_ response: LiveKitSignalResponse)
    /// The same for a response that others get, too.
    func send(_ broadcast: SignalBroadcast)
    /// Closes after what was queued.
    func close(reason: String)
    /// Closes as after a fault: clients come back, which they do not after ``close(reason:)``.
    func abort()
}

extension SignalSink {
    /// Builds a response around one case of its oneof.
    func send(_ message: LiveKitSignalResponse.OneOf_Message) {
        var response = LiveKitSignalResponse()
        response.message = message
        send(response)
    }
}
