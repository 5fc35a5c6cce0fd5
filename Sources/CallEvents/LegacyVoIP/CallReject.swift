// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// `m.call.reject`: the callee will not take the call. Version 0 says hang-up instead.
package struct CallReject: Equatable, Sendable {
    package let header: LegacyCallHeader

    init(_ event: RoomEvent) throws(EventRefusal) {
        self.header = try LegacyCallHeader(event)
    }
}
