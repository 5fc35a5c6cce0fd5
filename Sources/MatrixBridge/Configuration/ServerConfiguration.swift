// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The HTTP listener, the metrics listener and the place of our files.
package struct ServerConfiguration: Equatable, Sendable {
    /// Signalling, token service, application service, health.
    package var port: Int
    /// Address literals to listen on; empty means every address of both families.
    package var bindAddresses: [String]
    /// Where the database and generated files are.
    package var dataDirectory: String
    /// The port of the metrics; nil when they are off.
    package var prometheusPort: Int?
    /// HTTP basic authentication of the metrics; nil when they are open.
    package var prometheusUsername: String?
    package var prometheusPassword: Secret?
    /// Reported to clients and in logs.
    package var region: String?

    static let portKey = ConfigurationKey(
        "port", .integer(1...65535), default: "7880", "HTTP port: signalling, tokens, application service, health")
    static let bindAddressesKey = ConfigurationKey(
        "bind_addresses", .addresses, development: "127.0.0.1, ::1", example: "[127.0.0.1]",
        "addresses to listen on; empty: all of IPv4 and IPv6")
    static let dataDirectoryKey = ConfigurationKey(
        "data_directory", .text, default: "data", example: "/var/lib/callbridge",
        "directory of the database, made when missing")
    static let prometheusPortKey = ConfigurationKey(
        "prometheus.port", .integer(0...65535), default: "0", "port of the metrics; 0: off")
    static let prometheusUsernameKey = ConfigurationKey(
        "prometheus.username", .text, "user name the metrics ask for; empty: none")
    static let prometheusPasswordKey = ConfigurationKey(
        "prometheus.password", .text, isSecret: true, "password the metrics ask for")
    /// The spelling of older LiveKit releases.
    static let oldPrometheusPortKey = ConfigurationKey(
        "prometheus_port", .integer(0...65535), default: "0", "older name of prometheus.port")
    static let regionKey = ConfigurationKey("region", .text, "name of this place, told to clients")

    static let keys = [
        portKey, bindAddressesKey, dataDirectoryKey, prometheusPortKey, prometheusUsernameKey, prometheusPasswordKey,
        oldPrometheusPortKey, regionKey,
    ]

    init(reading values: inout ConfigurationReader) {
        self.port = values.integer(Self.portKey)
        self.bindAddresses = values.addresses(Self.bindAddressesKey)
        self.dataDirectory = values.text(Self.dataDirectoryKey) ?? Self.dataDirectoryKey.defaultText
        var metrics = values.integer(Self.prometheusPortKey)
        var metricsKey = Self.prometheusPortKey
        if values.isSet(Self.oldPrometheusPortKey), !values.isSet(Self.prometheusPortKey) {
            metrics = values.integer(Self.oldPrometheusPortKey)
            metricsKey = Self.oldPrometheusPortKey
        }
        self.prometheusPort = metrics == 0 ? nil : metrics
        self.prometheusUsername = values.text(Self.prometheusUsernameKey)
        self.prometheusPassword = values.secret(Self.prometheusPasswordKey)
        self.region = values.text(Self.regionKey)
        if metrics != 0, metrics == port {
            values.fail(
                metricsKey, "\(metricsKey.path) and port are both \(port)",
                correction: String(port < 65535 ? port + 1 : port - 1))
        }
        if (prometheusUsername == nil) != (prometheusPassword == nil) {
            let missing = prometheusUsername == nil ? Self.prometheusUsernameKey : Self.prometheusPasswordKey
            values.report(
                ConfigurationFinding(
                    .fault,
                    at: values.origin(
                        of: prometheusUsername == nil ? Self.prometheusPasswordKey : Self.prometheusUsernameKey),
                    "prometheus.username and prometheus.password need each other",
                    correction: ConfigurationValues.nestedLine(missing.path, value: "…")))
        }
    }
}
