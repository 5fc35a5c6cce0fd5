// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOConcurrencyHelpers
import TURNCreds

/// The secret that each realm uses now: read for every credential, replaced by a rotation.
final class CurrentSecrets: Sendable {
    private let secrets = NIOLockedValueBox<[String: TURNSecret]>([:])

    init() {}

    subscript(realm: String) -> TURNSecret? {
        get { secrets.withLockedValue { $0[realm] } }
        set { secrets.withLockedValue { $0[realm] = newValue } }
    }
}

/// Credentials with whatever secret a realm uses at that moment; none while it has none.
struct RealmTURNAccess: TURNAccessProviding {
    let realm: String
    let servers: [TURNServer]
    let lifetimeSeconds: Int64
    let secrets: CurrentSecrets

    func access(user: String, now: Int64) throws(TURNCredentialFault) -> [TURNServerAccess] {
        guard let secret = secrets[realm] else { return [] }
        return try TURNCredentialIssuer(servers: servers, secret: secret, lifetimeSeconds: lifetimeSeconds)
            .access(user: user, now: now)
    }
}
