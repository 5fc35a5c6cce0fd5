// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Who may come into a room (`m.room.join_rules`).
package enum RoomJoinRule {
    static let eventType = "m.room.join_rules"

    /// Whether anybody may. A room without the event is for the invited.
    static func isPublic(_ content: JSONObject) -> Bool {
        content["join_rule"]?.string == "public"
    }
}
