// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The sessions of one identity: its own, and those that join beside it with the same token to publish only.
///
/// Whoever removes, mutes or restricts an identity means all of them.
extension Room {
    static let maximumPublishOnlySessions = 4

    func sessions(of identity: String) -> [Participant] {
        order.filter { $0.identity == identity || $0.claims.identity == identity }
    }

    /// Whether the bearer of a token may join by this identity; a session that is there already takes its own place.
    func hasPlace(for identity: String, of claims: TokenClaims) -> Bool {
        guard identity != claims.identity, participants[identity] == nil else { return true }
        return sessions(of: claims.identity).count(where: \.isPublishOnly) < Self.maximumPublishOnlySessions
    }
}

extension Participant {
    /// Joined beside the identity of its token, whose name its own begins with.
    var isPublishOnly: Bool { identity != claims.identity }
}
