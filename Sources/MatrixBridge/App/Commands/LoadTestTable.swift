// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Foundation

/// The figures of a load test as people read them.
enum LoadTestTable {
    static func text(of report: LoadTestReport) -> String {
        var rows = [
            ("participants", participants(report)),
            (
                "tracks",
                "\(report.publishedTracks) published, \(grouped(report.subscribedTracks)) subscribed" + missing(report)
            ),
            ("measured", decimal(report.seconds, 1) + " s, \(report.pacing)"),
            ("sent", grouped(report.sent) + " packets"),
            (
                "received",
                grouped(report.received) + " packets, " + decimal(report.receivedBitsPerSecond / 1_000_000, 1)
                    + " Mbit/s"
            ),
            ("lost", grouped(report.lost) + " of " + grouped(report.expected) + " (" + loss(report) + ")"),
            ("duplicates", grouped(report.duplicates)),
            ("join", times(report.joinTime, [("p50", report.joinTime.p50), ("p95", report.joinTime.p95)])),
            (
                "latency",
                times(
                    report.latency,
                    [("p50", report.latency.p50), ("p99", report.latency.p99), ("max", report.latency.max)])
            ),
        ]
        if !report.stalls.isEmpty { rows.append(("stalls", stalls(report.stalls))) }
        if let profile = report.srtpProfile { rows.append(("cipher", profile)) }
        if report.falsified > 0 {
            rows.append(("false", "\(report.falsified) of \(report.sampled) decrypted packets were not what was sent"))
        }
        if let server = report.server { rows += self.rows(of: server) }
        if let flood = report.flood {
            rows.append(("flood", "\(grouped(flood.sent)) packets, \(flood.kind)"))
        }
        rows.append(
            (
                "tester",
                percent(report.tester.processorShare) + " of a core, packets late by "
                    + times(report.tester.lateness, [("p99", report.tester.lateness.p99)])
            ))
        let width = rows.map(\.0.count).max() ?? 0
        var lines = rows.map { name, value in name.padding(toLength: width + 2, withPad: " ", startingAt: 0) + value }
        lines += report.failures.map { "failed: \($0)" }
        lines.append(
            report.bottleneck
                ?? "The tester kept up: \(percent(max(0, 1 - report.tester.processorShare))) of its core were free."
        )
        return lines.joined(separator: "\n")
    }

    private static func rows(of server: LoadTestReport.Server) -> [(String, String)] {
        var rows = [
            ("server", percent(server.processorShare) + " of a core, " + decimal(server.processorSeconds, 2) + " s")
        ]
        if let rate = server.packetsPerProcessorSecond {
            rows.append(("", grouped(Int(rate)) + " packets per CPU-second"))
        }
        var memory = decimal(Double(server.residentBytes) / 1_048_576, 1) + " MiB resident"
        if let each = server.bytesPerSubscriber { memory += ", \(each / 1_024) KiB a subscriber" }
        rows.append(("memory", memory))
        return rows
    }

    private static func participants(_ report: LoadTestReport) -> String {
        "\(report.joined) of \(report.participants) joined: \(report.publishers) send, \(report.subscribers) receive"
    }

    private static func missing(_ report: LoadTestReport) -> String {
        report.missingTracks > 0 ? ", \(grouped(report.missingTracks)) never came" : ""
    }

    private static func loss(_ report: LoadTestReport) -> String {
        decimal(report.lossPercent, report.lossPercent < 0.1 && report.lost > 0 ? 4 : 2) + " %"
    }

    private static func stalls(_ stalls: [LateArrivals.Stall]) -> String {
        let longest = stalls.map { $0.end - $0.begin }.max() ?? 0
        return grouped(stalls.count) + " times packets were more than "
            + "\(LateArrivals.limit / 1_000) ms late, for " + decimal(Double(longest) / 1_000, 2) + " ms at most"
    }

    private static func times(_ times: LoadTestReport.Times, _ values: [(String, UInt64?)]) -> String {
        guard times.count > 0 else { return "not measured" }
        return values.map { name, value in "\(name) " + decimal(Double(value ?? 0) / 1_000, 2) + " ms" }
            .joined(separator: ", ")
    }

    static func percent(_ share: Double) -> String { decimal(share * 100, 0) + " %" }

    static func decimal(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }

    static func grouped(_ number: some BinaryInteger) -> String {
        var text = ""
        for (index, digit) in String(number).reversed().enumerated() {
            if index > 0, index.isMultiple(of: 3), digit != "-" { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }
}

/// The state of a running load test on standard error: one line that changes on a terminal, elsewhere one line for each
/// phase.
final class ProgressLine {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var lastPhase: LoadTestProgress.Phase?
    private var isOpen = false

    func show(_ progress: LoadTestProgress) {
        guard isTerminal else {
            if progress.phase != lastPhase { StandardError.write(text(of: progress)) }
            lastPhase = progress.phase
            return
        }
        // Back to the start, and away with what the line held.
        FileHandle.standardError.write(Data("\r\u{1B}[K\(text(of: progress))".utf8))
        isOpen = true
    }

    func finish() {
        if isOpen { FileHandle.standardError.write(Data("\r\u{1B}[K".utf8)) }
        isOpen = false
    }

    private func text(of progress: LoadTestProgress) -> String {
        var parts = [progress.phase.rawValue]
        switch progress.phase {
        case .joining, .settling:
            parts.append("\(progress.joined) of \(progress.participants) in")
        case .measuring, .finishing:
            let elapsed = LoadTestTable.decimal(min(progress.elapsedSeconds, Double(progress.durationSeconds)), 1)
            if progress.phase == .measuring { parts.append("\(elapsed) of \(progress.durationSeconds) s") }
            parts.append("sent \(LoadTestTable.grouped(progress.sent))")
            parts.append("received \(LoadTestTable.grouped(progress.received))")
        }
        if progress.failed > 0 { parts.append("\(progress.failed) failed") }
        if let share = progress.serverShare { parts.append("server \(LoadTestTable.percent(share))") }
        parts.append("tester \(LoadTestTable.percent(progress.testerShare))")
        return parts.joined(separator: " · ")
    }
}
