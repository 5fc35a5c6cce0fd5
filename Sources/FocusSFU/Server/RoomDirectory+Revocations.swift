// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Removals from before this process.
extension RoomDirectory {
    /// Revokes again what an identity had been issued up to a time, in Unix seconds. Removals come oldest first.
    package nonisolated func restoreRevocation(of identity: String, inRoom room: String, at seconds: Int64) {
        revokedTokens.withLockedValue { $0.revoke(room: room, identity: identity, issuedUpTo: seconds) }
    }
}
