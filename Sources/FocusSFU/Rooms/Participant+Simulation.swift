// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The faults that test suites of clients ask for.
extension Participant {
    /// How the next resume fails.
    enum ResumeFault {
        case withoutAnyMessage
        case afterReconnect
    }

    private static let longestSpeechSeconds: Int32 = 60

    func simulate(_ scenario: LiveKitSimulateScenario) {
        switch scenario.scenario {
        case .nodeFailure(true), .migration(true):
            // As if this server were gone: no goodbye.
            signal?.abort()
            signal = nil
            room.remove(self, reason: .unknownReason, action: nil)
        case .serverLeave(true):
            room.remove(self, reason: .serverShutdown, action: .disconnect)
        case .leaveRequestFullReconnect(true):
            room.remove(self, reason: .unknownReason, action: .reconnect)
        case .disconnectSignalOnResume(true):
            resumeFault = .afterReconnect
        case .disconnectSignalOnResumeNoMessages(true):
            resumeFault = .withoutAnyMessage
        case .speakerUpdate(let seconds):
            // All in the room hear of it: one at a time.
            guard speechEndsAt == nil else { return }
            let milliseconds = UInt64(min(max(0, seconds), Self.longestSpeechSeconds)) * 1000
            speechEndsAt = room.plane.now.advanced(byMilliseconds: milliseconds)
            room.simulateSpeech(of: self, level: 0.9)
        case .switchCandidateProtocol, .subscriberBandwidth, .nodeFailure, .migration, .serverLeave,
            .leaveRequestFullReconnect, .disconnectSignalOnResume, .disconnectSignalOnResumeNoMessages, nil:
            break
        }
    }

    func advanceSimulation(to now: MonotonicTime) {
        guard let speechEndsAt, now >= speechEndsAt else { return }
        self.speechEndsAt = nil
        room.simulateSpeech(of: self, level: 0)
    }

    /// True when this resume was to fail: the new socket is gone again.
    func failsResume() -> Bool {
        guard let fault = resumeFault else { return false }
        resumeFault = nil
        if fault == .afterReconnect { sendReconnect() }
        signal?.abort()
        signal = nil
        signalLostAt = signalLostAt ?? room.plane.now
        return true
    }
}
