// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// An `m.relates_to` of type `m.reference`: the event that another event is about.
enum EventReference {
    /// Nil when the content refers to no event.
    static func target(of content: JSONObject) -> EventID? {
        guard let relation = content["m.relates_to"]?.object, relation["rel_type"]?.string == "m.reference" else {
            return nil
        }
        return relation["event_id"]?.string.flatMap(EventID.init)
    }
}
