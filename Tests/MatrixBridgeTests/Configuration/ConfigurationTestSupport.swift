// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Foundation

@testable import MatrixBridge

/// A directory for one test, removed with it.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("callbridge-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        self.path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, to name: String, mode: Int = 0o600) throws -> String {
        let file = path + "/" + name
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
        return file
    }
}

/// A generator whose numbers are the same in every run.
struct CountingGenerator: RandomNumberGenerator {
    var state: UInt64 = 1

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state
    }
}

enum Sample {
    /// A secret that is strong enough.
    static let secret = "4Qm9rT7xV2bN8kLp3ZsWc6YhJd5FgA1eRuXo"
    static let keys = "APIgood: \(secret)"

    /// Reads a text as if it were the file `callbridge.yaml`, with a key from a flag so that only the text has faults.
    static func reading(_ yaml: String, environment: [String: String] = [:], isDevelopment: Bool = false)
        -> ConfigurationReading
    {
        var environment = environment
        environment["LIVEKIT_CONFIG"] = yaml
        return ConfigurationReading(
            of: ConfigurationSources(
                environment: environment,
                flags: isDevelopment ? [] : [.init("--keys", sets: "keys", to: keys)], isDevelopment: isDevelopment))
    }

    static let projectDirectory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
}

extension ConfigurationReading {
    func findings(_ severity: ConfigurationFinding.Severity) -> [ConfigurationFinding] {
        findings.filter { $0.severity == severity }
    }

    func effective(_ path: String) -> EffectiveValue? {
        effective.first { $0.path == path }
    }
}

func writeBytes(_ bytes: [UInt8], to path: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: path))
}
