// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// `m.call.answer`: a device of the callee takes the call.
package struct CallAnswer: Equatable, Sendable {
    package let header: LegacyCallHeader
    package let answer: LegacyCallDescription
    package let streams: CallStreamMetadata?
    package let capabilities: CallCapabilities

    init(_ event: RoomEvent) throws(EventRefusal) {
        self.header = try LegacyCallHeader(event)
        self.answer = try LegacyCallDescription(event.content["answer"], allowing: [.answer])
        self.streams = CallStreamMetadata(event.content)
        self.capabilities = CallCapabilities(event.content)
    }
}
