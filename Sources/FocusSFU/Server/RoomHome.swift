// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Where the rooms of one name live, as the directory knows it.
///
/// News of a room's end and the answer to its creation travel on different ways and overtake each other. So each end
/// names the room by its sid, and while creations are under way it is remembered.
struct RoomHome: Sendable {
    let worker: MediaWorker
    /// The room that is there; nil until the first creation is answered, and after its end.
    private var sid: String?
    private var creationsUnderWay = 0
    private var endedMeanwhile: Set<String> = []

    init(worker: MediaWorker) {
        self.worker = worker
    }

    /// Nothing lives here any more, and nothing is about to.
    var isVacant: Bool { sid == nil && creationsUnderWay == 0 }

    mutating func creationBegins() {
        creationsUnderWay += 1
    }

    /// - Parameter room: Sid of the room that was made, or was there.
    mutating func creationEnds(_ room: String) {
        creationsUnderWay -= 1
        if !endedMeanwhile.contains(room) { sid = room }
        if creationsUnderWay == 0 { endedMeanwhile = [] }
    }

    mutating func ended(_ room: String) {
        if sid == room { sid = nil }
        if creationsUnderWay > 0 { endedMeanwhile.insert(room) }
    }
}
