// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU

@testable import MatrixBridge

/// A homeserver that takes every membership of ours, unless told otherwise.
actor FakeLegHomeserver: LegHomeserver {
    private(set) var log: [LegMembership.Request] = []
    private var answers: [LegMembership.Answer] = []
    private var count = 0

    func answer(_ answers: LegMembership.Answer...) { self.answers = answers }

    func takeLog() -> [LegMembership.Request] {
        defer { log = [] }
        return log
    }

    func perform(_ request: LegMembership.Request, for leg: LegAnnouncement) async -> LegMembership.Answer {
        log.append(request)
        if !answers.isEmpty { return answers.removeFirst() }
        count += 1
        switch request {
        case .scheduleLeave: return .scheduled(delayID: "delay-\(count)")
        case .announce: return EventID("$\(count)").map { .announced($0) } ?? .failed
        case .restart, .sendLeave, .leave: return .done
        }
    }
}

/// Media that do as they are told.
final class FakeEchoMedia: EchoMedia {
    private let starts = AsyncStream.makeStream(of: Void.self)
    private let endings = AsyncStream.makeStream(of: EchoParticipant.Ending.self)

    var progress: EchoParticipant.Progress {
        var progress = EchoParticipant.Progress()
        progress.isConnected = true
        return progress
    }

    func run() async -> EchoParticipant.Ending {
        starts.continuation.yield()
        for await ending in endings.stream { return ending }
        return .stopped
    }

    func stop() { end(.stopped) }

    func end(_ ending: EchoParticipant.Ending) { endings.continuation.yield(ending) }

    /// Returns once they run.
    func started() async {
        for await _ in starts.stream { return }
    }
}

/// Lets everybody in, one after the other.
actor FakeEchoEntrance: EchoEntering {
    private(set) var entered: [FocusParticipant] = []
    private(set) var areSealed: [Bool] = []
    private let media: FakeEchoMedia

    init(_ media: FakeEchoMedia) {
        self.media = media
    }

    func enter(
        _ participant: FocusParticipant, as user: UserID, of room: RoomID, frames: any EchoFrames,
    ) async throws -> any EchoMedia {
        entered.append(participant)
        areSealed.append(frames.areSealed)
        return media
    }
}
