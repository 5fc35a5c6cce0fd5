// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import ArgumentParser
import FocusSFU
import Foundation

/// `callbridge load-test`
struct LoadTestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load-test",
        abstract: "Join many participants to a server and measure what it forwards.",
        discussion: """
            Media is generated: Opus and VP8 in shape, filler inside. Loss, duplicates, join time and latency are \
            measured at the subscribers; with --server-pid, the server's processor time and memory, too. Give server \
            and tester a processor each (taskset -c 0, taskset -c 1), and use release builds.

            The server is one that speaks LiveKit's signalling or, for comparison, a Janus with its VideoRoom plugin \
            and WebSocket transport.

            The key is that of `serve --dev` unless --api-key and --api-secret, or LIVEKIT_API_KEY and \
            LIVEKIT_API_SECRET, say another; only the latter hide the secret from other users of the machine.

            Examples:
              callbridge load-test --publishers 1 --subscribers 100 --server-pid "$(pidof callbridge)"
              callbridge load-test --mesh 10 --pacing burst --duration 30
              callbridge load-test --audio-only 50 --talkers 5 --json audio.json
              callbridge load-test --url ws://127.0.0.1:7880 --token-file tokens --subscribers 20
              callbridge load-test --subscribers 500 --join-rate 0 --joins-at-once 500
              callbridge load-test --signalling janus --subscribers 100 --server-pid "$(pidof janus)"
            """)

    /// What the server speaks.
    enum Signalling: String, CaseIterable, ExpressibleByArgument {
        case livekit
        case janus
    }

    @Option(help: ArgumentHelp("What the server speaks: livekit or janus.", valueName: "kind"))
    var signalling = Signalling.livekit

    @Option(
        name: .customLong("url"),
        help: ArgumentHelp(
            "Server, ws://host:port; the prefix before /rtc may follow (ws://127.0.0.1:7880, of a Janus 8188).",
            valueName: "url"))
    var givenURL: String?

    @Option(help: ArgumentHelp("Name of an API key of the server (devkey).", valueName: "name"))
    var apiKey: String?

    @Option(help: ArgumentHelp("Its secret.", valueName: "secret"))
    var apiSecret: String?

    @Option(help: ArgumentHelp("Tokens instead of a key: one line for each participant.", valueName: "file"))
    var tokenFile: String?

    @Option(help: ArgumentHelp("Room, for a Janus a number; a new one unless given.", valueName: "name"))
    var room: String?

    @Option(help: ArgumentHelp("Participants that only send (1).", valueName: "n"))
    var publishers: Int?

    @Option(help: ArgumentHelp("Participants that only receive (1).", valueName: "n"))
    var subscribers: Int?

    @Option(help: ArgumentHelp("Instead: a meeting in which all send and receive.", valueName: "n"))
    var mesh: Int?

    @Option(help: ArgumentHelp("Instead: a meeting without video.", valueName: "n"))
    var audioOnly: Int?

    @Option(help: ArgumentHelp("How many of a meeting send; all unless given.", valueName: "n"))
    var talkers: Int?

    @Flag(inversion: .prefixedNo, help: "Publish audio.")
    var audio = true

    @Flag(inversion: .prefixedNo, help: "Publish video.")
    var video = true

    @Option(help: ArgumentHelp("Audio packets a second.", valueName: "n"))
    var audioRate = 50

    @Option(help: ArgumentHelp("Bytes of an audio payload.", valueName: "n"))
    var audioSize = 160

    @Option(help: ArgumentHelp("Video packets a second.", valueName: "n"))
    var videoRate = 227

    @Option(help: ArgumentHelp("Bytes of a video payload.", valueName: "n"))
    var videoSize = 1_100

    @Option(
        help: ArgumentHelp("steady: video packets evenly; burst: 30 frames a second, each at once.", valueName: "kind"))
    var pacing = PacketSchedule.Pacing.steady

    @Option(help: ArgumentHelp("Seconds to measure once all are in.", valueName: "seconds"))
    var duration = 10

    @Option(help: ArgumentHelp("Joins begun a second; 0 is without limit.", valueName: "n"))
    var joinRate = 50

    @Option(help: ArgumentHelp("Joins under way at a time.", valueName: "n"))
    var joinsAtOnce = 16

    @Option(
        name: .customLong("server-pid"),
        help: ArgumentHelp("Process of the server, on this machine: measure what it uses.", valueName: "pid"))
    var serverProcess: Int32?

    @Option(help: ArgumentHelp("Hostile packets along with the call: \(floodKinds).", valueName: "kind"))
    var flood: FloodPlan.Kind?

    @Option(help: ArgumentHelp("Hostile packets a second (100000).", valueName: "n"))
    var floodRate: Int?

    @Option(
        name: .customLong("json"),
        help: ArgumentHelp(
            "Write the figures as JSON; - is standard output, and the table goes elsewhere.", valueName: "file"))
    var jsonFile: String?

    @Option(
        name: .customLong("samples"),
        help: ArgumentHelp(
            "Write when each sampled packet departed (Unix time) and what it took, microseconds, as CSV.",
            valueName: "file"))
    var sampleFile: String?

    private static let floodKinds = FloodPlan.Kind.allCases.map(\.rawValue).joined(separator: ", ")

    func validate() throws {
        func check(_ isGood: Bool, _ message: String) throws {
            guard isGood else { throw ValidationError(message) }
        }
        try check(mesh == nil || audioOnly == nil, "--mesh and --audio-only exclude each other")
        let isMeeting = mesh != nil || audioOnly != nil
        try check(
            !isMeeting || publishers == nil && subscribers == nil,
            "--publishers and --subscribers have no place in a meeting (--mesh, --audio-only)")
        try check(talkers == nil || isMeeting, "--talkers needs --mesh or --audio-only")
        try check(
            (talkers ?? 0) >= 0 && (talkers ?? 0) <= (mesh ?? audioOnly ?? .max), "--talkers must be part of them")
        let limits = 0...20_000
        for (name, count) in [
            ("--publishers", publishers), ("--subscribers", subscribers), ("--mesh", mesh), ("--audio-only", audioOnly),
        ] {
            try check(limits.contains(count ?? 0), "\(name) must be between 0 and \(limits.upperBound)")
        }
        try check(!roles.isEmpty, "there must be somebody to join")
        let bytes = LoadTestPlan.payloadBytes
        for (name, value, range) in [
            ("--video-rate", videoRate, 1...100_000), ("--audio-rate", audioRate, 1...10_000),
            ("--video-size", videoSize, bytes), ("--audio-size", audioSize, bytes),
        ] {
            try check(range.contains(value), "\(name) must be between \(range.lowerBound) and \(range.upperBound)")
        }
        try check((1...86_400).contains(duration), "--duration must be between 1 and 86400")
        try check(joinRate >= 0 && joinsAtOnce >= 1, "--join-rate must be 0 or more, --joins-at-once 1 or more")
        try check(
            tokenFile == nil || apiKey == nil && apiSecret == nil && room == nil,
            "--token-file excludes --api-key, --api-secret and --room: tokens say it all")
        try check(serverProcess.map { $0 > 0 } ?? true, "--server-pid must be a process")
        try check(flood == nil || serverProcess != nil, "--flood needs --server-pid: only a server on this machine")
        try check(
            flood == nil || roles.contains { $0.publishesAudio || $0.publishesVideo },
            "--flood needs somebody who sends")
        try check(floodRate == nil || flood != nil, "--flood-rate needs --flood")
        try check((1...1_000_000).contains(floodRate ?? 1), "--flood-rate must be between 1 and 1000000")
        try check(sampleFile != "-", "--samples needs a file")
        guard signalling == .janus else { return }
        try check(
            apiKey == nil && apiSecret == nil && tokenFile == nil,
            "--signalling janus excludes --api-key, --api-secret and --token-file: it has no tokens")
        try check(room.map { UInt32($0) ?? 0 > 0 } ?? true, "--room must be a number for a Janus")
        try check(
            roles.contains { $0.publishesAudio || $0.publishesVideo }, "in a VideoRoom somebody must send")
    }

    func run() throws {
        let plan = try plan()
        // Found out before hours of measuring, not after.
        if let jsonFile, jsonFile != "-", !FileManager.default.createFile(atPath: jsonFile, contents: nil) {
            throw Self.unwritable(jsonFile)
        }
        let samples = try sampleFile.map { try SampleFile(path: $0) }
        let progressLine = ProgressLine()
        let report: LoadTestReport
        do throws(LoadTestFault) {
            report = try LoadTestRun(plan, onSample: { samples?.add($0) }, onProgress: progressLine.show).run()
        } catch {
            progressLine.finish()
            try samples?.finish()
            throw termination(for: error)
        }
        progressLine.finish()
        try samples?.finish()
        try write(report)
        guard report.falsified == 0 else {
            throw Termination(
                .failure,
                cause:
                    "\(report.falsified) of \(report.sampled) sampled packets did not decrypt, or were not what was sent",
                source: url, fix: "see the server's log; the other figures mean nothing")
        }
        guard report.failed == 0 else {
            throw Termination(
                .failure,
                cause: "\(report.failed) of \(report.participants) participants failed, the first because: "
                    + (report.failures.first ?? "unknown"),
                source: url, fix: "see the server's log")
        }
    }

    // MARK: Plan

    private var roles: [LoadTestPlan.Role] {
        if let count = audioOnly ?? mesh {
            return LoadTestPlan.meeting(
                of: count, talkers: talkers ?? count, audio: audio, video: video && audioOnly == nil)
        }
        return LoadTestPlan.broadcast(
            publishers: publishers ?? 1, subscribers: subscribers ?? 1, audio: audio, video: video)
    }

    private var url: String {
        givenURL ?? (signalling == .janus ? "ws://127.0.0.1:8188" : "ws://127.0.0.1:7880")
    }

    private func plan() throws -> LoadTestPlan {
        let number = UInt32.random(in: 1 ... .max)
        var plan =
            switch signalling {
            case .livekit:
                LoadTestPlan(
                    url: try address(), admission: try admission(), room: room ?? "load-test-\(number)", roles: roles)
            case .janus:
                LoadTestPlan(url: try address(), videoRoom: room.flatMap { UInt32($0) } ?? number, roles: roles)
            }
        plan.audio = LoadTestPlan.TrackShape(packetsPerSecond: audioRate, payloadBytes: audioSize)
        plan.video = LoadTestPlan.TrackShape(packetsPerSecond: videoRate, payloadBytes: videoSize)
        plan.pacing = pacing
        plan.durationSeconds = duration
        plan.joinsPerSecond = joinRate
        plan.joinsAtOnce = joinsAtOnce
        plan.serverProcess = serverProcess
        plan.flood = flood.map { FloodPlan(kind: $0, packetsPerSecond: floodRate ?? 100_000) }
        return plan
    }

    private func address() throws -> SignalURL {
        do throws(SignalURL.Fault) {
            return try SignalURL(url)
        } catch {
            switch error {
            case .needsTLS:
                throw Termination(
                    .usage, cause: "load-test speaks no TLS", source: "--url \(url)",
                    fix: "the ws:// address of the server itself, behind its proxy")
            case .malformed:
                throw Termination(
                    .usage, cause: "not the address of a server", source: "--url \(url)",
                    fix: "ws://host:port, such as ws://127.0.0.1:7880")
            }
        }
    }

    private func admission() throws -> LoadTestPlan.Admission {
        guard let tokenFile else { return .key(try key()) }
        guard let text = try? String(contentsOfFile: tokenFile, encoding: .utf8) else {
            throw Termination(
                .usage, cause: "the file cannot be read", source: "--token-file \(tokenFile)",
                fix: "a file with one token a line, as `callbridge token create` prints them")
        }
        let tokens = text.split(whereSeparator: \.isWhitespace).map(String.init)
        guard tokens.count >= roles.count else {
            throw Termination(
                .usage, cause: "\(tokens.count) tokens for \(roles.count) participants", source: tokenFile,
                fix: "one line for each participant, each with an identity of its own")
        }
        return .tokens(tokens)
    }

    private func key() throws -> APIKey {
        let environment = ProcessInfo.processInfo.environment
        switch (apiKey ?? environment["LIVEKIT_API_KEY"], apiSecret ?? environment["LIVEKIT_API_SECRET"]) {
        case (let name?, let secret?): return APIKey(name: name, secret: secret)
        case (nil, nil): return APIKey(name: APIKeyPair.development.name, secret: APIKeyPair.development.secret.exposed)
        case (_?, nil):
            throw Termination(
                .usage, cause: "a key without its secret", source: "command line and environment",
                fix: "--api-secret, or LIVEKIT_API_SECRET")
        case (nil, _?):
            throw Termination(
                .usage, cause: "a secret without the name of its key", source: "command line and environment",
                fix: "--api-key, or LIVEKIT_API_KEY")
        }
    }

    private func termination(for fault: LoadTestFault) -> Termination {
        switch fault {
        case .unreachable(let reason):
            Termination(
                .failure, cause: "the server cannot be reached: \(reason)", source: url,
                fix: "start it, or name another address with --url")
        case .refused(let status, let body):
            Termination(
                .failure, cause: "the server refused the join: \(status) \(body)", source: url,
                fix: status != 401 || signalling == .janus
                    ? "see the server's log"
                    : tokenFile == nil
                        ? "a key of this server, with --api-key and --api-secret"
                        : "tokens of this server that are still valid")
        case .nobodyJoined(let reason):
            Termination(
                .failure, cause: "nobody came in: \(reason)", source: url,
                fix: "see that UDP reaches the server's media port at the address it tells (rtc.node_ip), and its log")
        case .serverProcess(let process):
            Termination(
                .failure, cause: "there is no process \(process), or it ended", source: "--server-pid",
                fix: "the process id of the server")
        case .system(let reason):
            Termination(
                .failure, cause: reason, source: "this machine", fix: "fewer participants, or higher limits (ulimit -n)"
            )
        }
    }

    // MARK: Output

    private func write(_ report: LoadTestReport) throws {
        let table = LoadTestTable.text(of: report)
        guard let jsonFile else { return print(table) }
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let json = try encoder.encode(report) + Data("\n".utf8)
        guard jsonFile != "-" else {
            StandardError.write(table)
            return FileHandle.standardOutput.write(json)
        }
        print(table)
        do {
            try json.write(to: URL(fileURLWithPath: jsonFile))
        } catch {
            throw Self.unwritable(jsonFile)
        }
    }

    private static func unwritable(_ jsonFile: String) -> Termination {
        Termination(.failure, cause: "the file cannot be written", source: "--json \(jsonFile)", fix: "another place")
    }
}

extension PacketSchedule.Pacing: ExpressibleByArgument {}
extension FloodPlan.Kind: ExpressibleByArgument {}
