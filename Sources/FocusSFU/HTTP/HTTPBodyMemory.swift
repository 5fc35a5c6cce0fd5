// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOConcurrencyHelpers

/// The memory of request bodies: bounded for all connections together, and so that strangers cannot use up what those
/// whom a route knows need.
///
/// The first ``freeByteCount`` bytes of a body are not counted, so a short request always finds room; the limit of
/// connections bounds them. Safe to use from all event loops.
final class HTTPBodyMemory: Sendable {
    /// Whose body it is.
    enum Holder: Sendable {
        /// Nobody has looked at the request yet.
        case stranger
        /// The route's ``HTTPRouter/Admission`` let it in.
        case known
    }

    /// Bytes of each body that are always there: as much as a socket's read buffer holds anyway.
    static let freeByteCount = 16 * 1024

    private struct State {
        var strangers = 0
        var known = 0
    }

    private let strangerLimit: Int
    private let knownLimit: Int
    private let state = NIOLockedValueBox(State())

    init(strangerLimit: Int, knownLimit: Int) {
        self.strangerLimit = strangerLimit
        self.knownLimit = knownLimit
    }

    /// Bytes that are counted now.
    var byteCount: Int {
        state.withLockedValue { $0.strangers + $0.known }
    }

    /// Takes memory for a part of a body; false when the holders of that kind would exceed their limit together.
    func take(_ byteCount: Int, for holder: Holder) -> Bool {
        state.withLockedValue { state in
            switch holder {
            case .stranger:
                guard state.strangers + byteCount <= strangerLimit else { return false }
                state.strangers += byteCount
            case .known:
                guard state.known + byteCount <= knownLimit else { return false }
                state.known += byteCount
            }
            return true
        }
    }

    func give(back byteCount: Int, of holder: Holder) {
        guard byteCount > 0 else { return }
        state.withLockedValue { state in
            switch holder {
            case .stranger: state.strangers -= byteCount
            case .known: state.known -= byteCount
            }
        }
    }
}
