// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Everything the configuration is read from, in rising order of strength: a YAML file, a YAML text in the
/// environment, variables of `--env-file`, variables of the process, options of the command line.
package struct ConfigurationSources: Sendable {
    /// An option that sets a key.
    package struct Flag: Equatable, Sendable {
        /// With its dashes: `--port`.
        package var name: String
        package var path: String
        package var text: String

        package init(_ name: String, sets path: String, to text: String) {
            self.name = name
            self.path = path
            self.text = text
        }
    }

    package var file: String?
    package var environmentFile: String?
    package var environment: [String: String]
    package var flags: [Flag]
    /// `--dev`: a stand-alone focus with the pair `devkey` / `secret` on loopback.
    package var isDevelopment: Bool

    package init(
        file: String? = nil, environmentFile: String? = nil, environment: [String: String] = [:], flags: [Flag] = [],
        isDevelopment: Bool = false
    ) {
        self.file = file
        self.environmentFile = environmentFile
        self.environment = environment
        self.flags = flags
        self.isDevelopment = isDevelopment
    }
}
