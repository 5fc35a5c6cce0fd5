// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A participant's data channels and what waits for them.
///
/// Messages for a participant whose channel is not open yet, or whose send buffer is full, wait here in order. The
/// queue is bounded by bytes; what does not fit is dropped and counted, so that one slow receiver costs nobody else
/// anything.
struct DataTraffic {
    static let reliableLabel = "_reliable"
    static let lossyLabel = "_lossy"
    /// Once the channel has been open, a slow receiver may fall this far behind.
    static let backlogBytes = 4 << 20

    /// Labels of the channels the client opened on its publisher connection.
    var labels: [UInt16: String] = [:]
    /// Channels on which this participant receives.
    var reliableChannel: UInt16?
    var lossyChannel: UInt16?
    struct Waiting {
        var message: [UInt8]
        var isReliable: Bool
    }

    private(set) var waiting: [Waiting] = []
    private(set) var waitingBytes = 0
    var wasOpen = false
    /// The highest sequence taken from this participant's reliable packets; a resume repeats older ones.
    var lastSequence: UInt32 = 0
    var allowance = DataAllowance()

    /// False when the queue has no room.
    mutating func enqueue(_ message: [UInt8], isReliable: Bool, pendingLimit: Int) -> Bool {
        guard waitingBytes + message.count <= (wasOpen ? Self.backlogBytes : pendingLimit) else { return false }
        waiting.append(Waiting(message: message, isReliable: isReliable))
        waitingBytes += message.count
        return true
    }

    /// Sends from the front until `send` says no.
    mutating func flush(_ send: (Waiting) -> Bool) {
        var sent = 0
        while sent < waiting.count, send(waiting[sent]) {
            waitingBytes -= waiting[sent].message.count
            sent += 1
        }
        waiting.removeFirst(sent)
    }
}
