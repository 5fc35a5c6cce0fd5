// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What candidates a peer named, by type (RFC 8839 §5.1): a lite agent needs none of them, but whoever asks why no
/// media came up does.
package struct CandidateCensus: Equatable, Sendable {
    private var host = 0
    private var reflexive = 0
    private var relay = 0

    package init() {}

    package mutating func note(_ line: String) {
        let fields = line.split(separator: " ", maxSplits: 9)
        guard let mark = fields.firstIndex(of: "typ"), fields.indices.contains(mark + 1) else { return }
        switch fields[mark + 1] {
        case "host": host += 1
        case "srflx", "prflx": reflexive += 1
        case "relay": relay += 1
        default: return
        }
    }

    /// Notes the candidates that stand in a session description.
    package mutating func note(description: String) {
        for line in description.split(whereSeparator: \.isNewline) where line.hasPrefix("a=candidate:") {
            note(String(line.dropFirst(2)))
        }
    }

    /// Why no media came up, and what may help, for the peer.
    package var sentences: String {
        let named =
            "Your client named \(host) addresses of its own, \(reflexive) seen from outside and \(relay) of relays"
        if host + reflexive + relay == 0 {
            return "\(named). Without any it cannot be reached: is its access to the network restricted?"
        }
        if relay == 0 {
            return "\(named). UDP to the media port of this server does not get through, and there is no relay to go "
                + "around that: an administrator can set one up (TURN)."
        }
        return "\(named). Neither the direct way nor the relay reaches the media port of this server: an administrator "
            + "can find out more with `turn status`."
    }
}
