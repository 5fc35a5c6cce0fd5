// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import FocusSFU

/// Where the media of one-to-one calls goes: each call is a mirror of the focus.
package protocol LegacyCallMedia: Sendable {
    /// Answers the first and every later offer of a peer.
    func answer(_ sdp: String, mirror name: String) async throws(MirrorRefusal) -> MirrorDescription
    /// An offer to a peer that we call.
    func offer(mirror name: String) async throws(MirrorRefusal) -> MirrorDescription
    func take(answer sdp: String, mirror name: String) async throws(MirrorRefusal)
    func state(ofMirror name: String) async -> MirrorState
    func end(mirror name: String) async
}

extension MirrorDirectory: LegacyCallMedia {}
