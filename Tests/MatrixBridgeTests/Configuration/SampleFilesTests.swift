// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import MatrixBridge

@Suite("The sample files of the project")
struct SampleFilesTests {
    @Test("deploy/callbridge.yaml is used without any finding")
    func configuration() throws {
        let directory = try TemporaryDirectory()
        _ = try directory.write(Sample.keys, to: "keys")
        _ = try directory.write(RegistrationTests.pushed().yaml, to: "registration.yaml")
        let text = try ConfigurationFile.read(Sample.projectDirectory + "/deploy/callbridge.yaml").text
        let file = try directory.write(text.replacing("/etc/callbridge", with: directory.path), to: "callbridge.yaml")
        let reading = ConfigurationReading(of: ConfigurationSources(file: file))
        #expect(reading.findings.report == "")
        let matrix = try #require(reading.configuration?.matrix)
        #expect(matrix.applicationServiceToken == RegistrationTests.pushed().asToken)
    }

    @Test("every line that deploy/callbridge.yaml comments out is a valid key")
    func commentedKeys() throws {
        let text = try ConfigurationFile.read(Sample.projectDirectory + "/deploy/callbridge.yaml").text
        let names = Set(ConfigurationKeys.all.map(\.name))
        for line in text.split(separator: "\n") {
            let trimmed = line.drop(while: \.isWhitespace)
            guard trimmed.hasPrefix("# "), let colon = trimmed.firstIndex(of: ":") else { continue }
            let name = trimmed[..<colon].dropFirst(2)
            guard name.allSatisfy({ $0.isLowercase || $0 == "_" }), name.contains("_") else { continue }
            #expect(names.contains(String(name)))
        }
    }

    @Test("registration.yaml is what the generator writes, and its tokens are refused")
    func registration() throws {
        let path = Sample.projectDirectory + "/registration.yaml"
        let sample = try Registration(reading: try ConfigurationFile.read(path).text)
        var written = RegistrationTests.pushed()
        written.asToken = sample.asToken
        written.hsToken = sample.hsToken
        #expect(sample == written)
        let reading = Sample.reading("matrix: {registration: \"\(path)\"}\n")
        #expect(reading.findings(.fault).contains { $0.problem == "as_token is a placeholder that was never replaced" })
    }
}
