// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a client says of itself at the join is shown to everybody in the room, and bounded like later changes.
extension JoinParameters {
    /// - Throws: when what the participant would begin with is too long.
    func checkLengths(with claims: TokenClaims, limits: FocusLimits) throws(Refusal) {
        guard claims.name.utf8.count <= limits.nameLength else {
            throw Refusal(body: "name length exceeds limits: max length \(limits.nameLength)")
        }
        guard max(metadata.utf8.count, claims.metadata.utf8.count) <= limits.metadataBytes else {
            throw Refusal(body: "metadata size exceeds limits: max size \(limits.metadataBytes)")
        }
        let byteCount = mergedAttributes(over: claims.attributes).reduce(0) {
            $0 + $1.key.utf8.count + $1.value.utf8.count
        }
        guard byteCount <= limits.attributesBytes else {
            throw Refusal(body: "attributes size exceeds limits: max size \(limits.attributesBytes)")
        }
    }

    /// The client's attributes in place of those of its token; empty ones are none.
    func mergedAttributes(over claimed: [String: String]) -> [String: String] {
        claimed.merging(attributes) { _, new in new }.filter { !$0.value.isEmpty }
    }
}
