// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The mirrors of all workers, by name. Whoever asks for them bounds their number.
package actor MirrorDirectory {
    private let workers: [MediaWorker]
    private var homes: [String: MediaWorker] = [:]
    private var next = 0

    init(workers: [MediaWorker]) {
        self.workers = workers
    }

    /// Answers an offer to the mirror of a name, which is made if it is not there.
    package func answer(_ sdp: String, mirror name: String) async throws(MirrorRefusal) -> MirrorDescription {
        let worker = home(ofMirror: name)
        do throws(MirrorRefusal) {
            return try await worker.answer(sdp, mirror: name)
        } catch {
            if await worker.mirrorState(name) == .absent { homes[name] = nil }
            throw error
        }
    }

    /// An offer of the mirror of a name, which is made.
    package func offer(mirror name: String) async throws(MirrorRefusal) -> MirrorDescription {
        do throws(MirrorRefusal) {
            return try await home(ofMirror: name).offer(mirror: name)
        } catch {
            homes[name] = nil
            throw error
        }
    }

    /// Gives a mirror the answer to its offer.
    package func take(answer sdp: String, mirror name: String) async throws(MirrorRefusal) {
        guard let worker = homes[name] else { throw .nothingOffered }
        try await worker.take(answer: sdp, mirror: name)
    }

    private func home(ofMirror name: String) -> MediaWorker {
        if let home = homes[name] { return home }
        next = (next + 1) % workers.count
        homes[name] = workers[next]
        return workers[next]
    }

    package func state(ofMirror name: String) async -> MirrorState {
        guard let worker = homes[name] else { return .absent }
        let state = await worker.mirrorState(name)
        if state == .absent { homes[name] = nil }
        return state
    }

    package func end(mirror name: String) async {
        await homes.removeValue(forKey: name)?.endMirror(name)
    }
}
