// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What an operator adds to the homeserver and its web server so that it uses our focus.
struct HomeserverSetup: Equatable, Sendable {
    /// Paths of the registration files, as the homeserver sees them.
    var registrationFiles: [String]
    var livekitServiceURL: String
    var websocketURL: String
    /// Whether a registration with delegated rights is among the files.
    var hasDelegatedRegistration: Bool

    /// The lines for `homeserver.yaml` of Synapse.
    ///
    /// Delayed events are MSC4140, the transports MSC4143, sticky events MSC4354; the others let transactions carry
    /// to-device messages and device changes (MSC2409, MSC3202).
    var homeserverYAML: String {
        var lines: [String] = []
        if !registrationFiles.isEmpty {
            lines.append("app_service_config_files:")
            lines += registrationFiles.map { "  - \(FlowText.scalar($0))" }
        }
        lines += [
            "max_event_delay_duration: 24h",
            "rc_message: {per_second: 0.5, burst_count: 30}",
            "rc_delayed_event_mgmt: {per_second: 1, burst_count: 20}",
            "matrix_rtc:",
            "  transports:",
            "    - type: livekit",
            "      livekit_service_url: \(FlowText.quoted(livekitServiceURL))",
            "      url: \(FlowText.quoted(websocketURL))",
            "experimental_features:",
            "  msc2409_to_device_messages_enabled: true",
            "  msc3202_transaction_extensions: true",
            "  msc4143_enabled: true",
            "  msc4222_enabled: true",
            "  msc4354_enabled: true",
        ]
        if hasDelegatedRegistration {
            lines += ["  msc4502_enabled: true", "  msc4512_enabled: true"]
        }
        return lines.joined(separator: "\n")
    }

    /// The key to add to `/.well-known/matrix/client` of the server name (MSC4143).
    var wellKnownJSON: String {
        """
        {
          "org.matrix.msc4143.rtc_foci": [
            {"type": "livekit", "livekit_service_url": \(FlowText.quoted(livekitServiceURL))}
          ]
        }
        """
    }

    /// Both, with where each belongs.
    var text: String {
        """
        # homeserver.yaml of Synapse: add these keys, or merge them with those that are there.
        \(homeserverYAML)

        # /.well-known/matrix/client of the server name: add this key. Serve it as application/json and with the header
        # Access-Control-Allow-Origin: *
        \(wellKnownJSON)
        """
    }
}
