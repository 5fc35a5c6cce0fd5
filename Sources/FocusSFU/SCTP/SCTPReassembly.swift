// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Puts together a message that usrsctp hands over in parts.
///
/// It does so for messages larger than its receive buffer can hold, and for one message at a time: until that one has
/// ended, parts of no other come.
struct SCTPReassembly {
    private var bytes: [UInt8] = []
    private var stream: UInt16 = 0
    private var isOpen = false
    private var isTooLong = false

    /// Takes a part.
    /// - Returns: the message when it is complete, the refusal of one that was too long, or nil.
    mutating func add(stream: UInt16, payloadProtocol: UInt32, bytes part: [UInt8], endsMessage: Bool) -> SCTPOutput? {
        if isOpen, self.stream != stream { reset() }
        guard isOpen || !endsMessage || part.count > SCTPAssociation.receiveLimit else {
            return .message(stream: stream, payloadProtocol: payloadProtocol, bytes: part)
        }
        isOpen = true
        self.stream = stream
        if isTooLong || bytes.count + part.count > SCTPAssociation.receiveLimit {
            isTooLong = true
            bytes = []
        } else {
            bytes.append(contentsOf: part)
        }
        guard endsMessage else { return nil }
        defer { reset() }
        return isTooLong
            ? .messageRefused(stream: stream)
            : .message(stream: stream, payloadProtocol: payloadProtocol, bytes: bytes)
    }

    private mutating func reset() {
        bytes = []
        isOpen = false
        isTooLong = false
    }
}
