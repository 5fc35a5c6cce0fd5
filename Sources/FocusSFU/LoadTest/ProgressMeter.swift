// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// When progress is told again, and how busy server and tester were since the last time.
struct ProgressMeter {
    private static let interval: UInt64 = 500_000_000

    private let serverProcess: Int32?
    private var last: MonotonicTime
    private var own = OwnUsage.now()
    private var server: ProcessUsage?

    init(serverProcess: Int32?, at now: MonotonicTime) {
        self.serverProcess = serverProcess
        last = now
    }

    func isDue(at now: MonotonicTime) -> Bool {
        now.nanoseconds(since: last) >= Self.interval
    }

    /// Shares of a core since the last call; the server's only where its process is known and was there then.
    mutating func shares(at now: MonotonicTime) -> (server: Double?, tester: Double) {
        let seconds = Double(now.nanoseconds(since: last)) / 1_000_000_000
        let before = (own: own, server: server)
        last = now
        own = OwnUsage.now()
        server = serverProcess.flatMap(ProcessUsage.init(of:))
        func share(_ used: Double) -> Double { seconds > 0 ? used / seconds : 0 }
        let serverShare = server.flatMap { server in
            before.server.map { share(server.processorSeconds - $0.processorSeconds) }
        }
        return (serverShare, share(own.processorSeconds - before.own.processorSeconds))
    }
}
