// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Logging
import NIOConcurrencyHelpers
import Testing

@testable import MatrixBridge

@Suite("What a log line may hold")
struct LogTextTests {
    @Test("control characters, separators of lines and marks of direction are not written")
    func controls() {
        #expect(
            LogText.printable("1\n2026 error\u{1B}[31m\t\u{9B}x\u{2028}y\u{202E}z\u{7F}") == "1?2026 error?[31m??x?y?z?"
        )
        #expect(LogText.printable("ordinary – text: äöü 🎥") == "ordinary – text: äöü 🎥")
    }

    @Test("long values are cut between characters")
    func long() {
        let exact = String(repeating: "x", count: LogText.maximumBytes)
        #expect(LogText.printable(exact) == exact)
        #expect(LogText.printable(exact + "y") == exact + "…")
        let wide = LogText.printable(String(repeating: "ä", count: LogText.maximumBytes))
        #expect(wide == String(repeating: "ä", count: LogText.maximumBytes / 2) + "…")
    }

    private struct Recorder: LogHandler {
        let lines: NIOLockedValueBox<[String]>
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            lines.withLockedValue { $0.append("\(event.message) \(event.metadata ?? [:])") }
        }
    }

    @Test("a client's version does not begin a line of its own, wherever it stands")
    func logger() {
        let lines = NIOLockedValueBox<[String]>([])
        let logger = Logger(label: "test") { _ in
            LeveledLogHandler(Recorder(lines: lines), levels: LogLevels(.info))
        }
        logger.info("joined\n", metadata: ["client": "js 1\n2026 error", "list": ["\u{1B}[2J", "b"]])
        let line = lines.withLockedValue { $0.first ?? "" }
        #expect(line.contains("js 1?2026 error") && line.contains("?[2J"))
        #expect(!line.unicodeScalars.contains { $0.value < 0x20 })
    }
}
