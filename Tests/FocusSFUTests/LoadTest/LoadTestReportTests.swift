// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("What a load test says of itself")
struct LoadTestReportTests {
    private static func tester(_ change: (inout LoadTestReport.Tester) -> Void = { _ in }) -> LoadTestReport.Tester {
        var tester = LoadTestReport.Tester(
            processorSeconds: 1, processorShare: 0.2, waitingShare: 0.1, stolenShare: 0.01, overflow: 0, unsent: 0,
            lateness: LoadTestReport.Times(Distribution()))
        change(&tester)
        return tester
    }

    private static func server(waitingShare: Double) -> LoadTestReport.Server {
        LoadTestReport.Server(processorSeconds: 1, processorShare: 1, waitingShare: waitingShare, residentBytes: 1)
    }

    @Test("an undisturbed test says nothing")
    func undisturbed() {
        #expect(LoadTestReport.disturbance(tester: Self.tester(), server: nil) == nil)
        #expect(LoadTestReport.disturbance(tester: Self.tester(), server: Self.server(waitingShare: 0.2)) == nil)
        let atTheLimits = Self.tester {
            $0.processorShare = 0.85
            $0.waitingShare = 0.2
            $0.stolenShare = 0.02
            $0.lateness.p99 = 20_000
        }
        #expect(LoadTestReport.disturbance(tester: atTheLimits, server: nil) == nil)
    }

    @Test("each disturbance has its sentence")
    func sentences() {
        func sentence(
            server: LoadTestReport.Server? = nil, _ change: (inout LoadTestReport.Tester) -> Void = { _ in }
        ) -> String {
            LoadTestReport.disturbance(tester: Self.tester(change), server: server) ?? ""
        }
        #expect(sentence { $0.overflow = 3 }.hasPrefix("3 datagrams found no room in the tester's own sockets"))
        #expect(sentence { $0.processorShare = 0.86 }.hasPrefix("The tester was busy for 86 % of a core"))
        #expect(sentence { $0.waitingShare = 0.21 }.hasPrefix("The tester waited for a processor 21 %"))
        #expect(sentence(server: Self.server(waitingShare: 0.5)).hasPrefix("The server waited for a processor 50 %"))
        #expect(sentence { $0.lateness.p99 = 21_000 }.hasPrefix("The tester sent its packets up to 21 ms late"))
        #expect(sentence { $0.stolenShare = 0.03 }.hasPrefix("The machine below this one gave 3 %"))
    }

    @Test("of several disturbances the gravest is named")
    func gravest() {
        let both = Self.tester {
            $0.overflow = 1
            $0.stolenShare = 0.5
        }
        #expect(LoadTestReport.disturbance(tester: both, server: nil)?.hasPrefix("1 datagrams") == true)
    }
}
