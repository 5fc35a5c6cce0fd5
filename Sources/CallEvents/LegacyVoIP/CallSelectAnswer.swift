// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// `m.call.select_answer`: the caller chose one of the answers; the others stop silently.
package struct CallSelectAnswer: Equatable, Sendable {
    package let header: LegacyCallHeader
    package let selectedPartyID: String

    init(_ event: RoomEvent) throws(EventRefusal) {
        self.header = try LegacyCallHeader(event)
        self.selectedPartyID = try event.content.requiredText("selected_party_id", orRefuse: .missingSelectedParty)
    }
}
