// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import TURNCreds

/// The ICE servers of the configuration, with TURN credentials made for each participant.
struct ConfiguredICEServers: ICEServerProviding {
    private let stunURLs: [String]
    private let turn: TURNProviders

    init(_ configuration: BridgeConfiguration, turn: TURNProviders) {
        stunURLs = configuration.rtc.stunServers.map { $0.hasPrefix("stun:") ? $0 : "stun:\($0)" }
        self.turn = turn
    }

    func iceServers(forIdentity identity: String, unixSeconds: Int64) -> [ICEServerEntry] {
        let entries = stunURLs.isEmpty ? [] : [ICEServerEntry(urls: stunURLs)]
        return entries
            + turn.access(forIdentity: identity, now: unixSeconds).map {
                ICEServerEntry(urls: $0.urls, username: $0.username, credential: $0.credential)
            }
    }
}
