// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// What must be written into the homeserver's configuration and the well-known file so that clients find this focus.
package struct DiscoverySetup: Equatable, Sendable {
    /// The base that clients append `/sfu/get` to; no slash at the end.
    package var serviceURL: String
    /// The public `wss://` base of the focus.
    package var focusURL: String

    package init(serviceURL: String, focusURL: String) {
        self.serviceURL = serviceURL.hasSuffix("/") ? String(serviceURL.dropLast()) : serviceURL
        self.focusURL = focusURL
    }

    /// The part of `homeserver.yaml`. The experimental flag must be on: without it the list is not served.
    package var homeserverYAML: String {
        """
        matrix_rtc:
          transports:
            - type: livekit
              livekit_service_url: \(serviceURL)
              url: \(focusURL)
        experimental_features:
          msc4143_enabled: true
        """
    }

    /// The member of `/.well-known/matrix/client`, to be merged into what is there.
    package var wellKnownMember: JSONValue {
        .object([
            "org.matrix.msc4143.rtc_foci": .array([
                .object(["type": .string("livekit"), "livekit_service_url": .string(serviceURL)])
            ])
        ])
    }
}
