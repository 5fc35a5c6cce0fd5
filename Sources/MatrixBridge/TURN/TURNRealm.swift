// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import TURNCreds

/// A realm as the rotation sees it.
struct TURNRealm: Sendable {
    let name: String
    /// For people; without passwords.
    let location: String
    let store: any SecretStore
    /// Seconds between scheduled rotations; nil for none.
    let rotationSeconds: Int64?
    /// How long a replaced secret outlives its longest credential.
    let overlapSeconds: Int64
    /// Of credentials, seconds.
    let longestLifetime: Int64

    init(
        name: String, location: String, store: any SecretStore, rotationSeconds: Int64?, overlapSeconds: Int64,
        longestLifetime: Int64
    ) {
        self.name = name
        self.location = location
        self.store = store
        self.rotationSeconds = rotationSeconds
        self.overlapSeconds = overlapSeconds
        self.longestLifetime = longestLifetime
    }

    init(_ configuration: TURNRealmConfiguration, providers: TURNProviders) {
        self.init(
            name: configuration.name, location: configuration.store.description, store: configuration.store.store,
            rotationSeconds: configuration.rotationInterval?.components.seconds,
            overlapSeconds: configuration.overlap.components.seconds,
            longestLifetime: providers.longestLifetime(ofRealm: configuration.name))
    }
}

/// The state of a realm at one moment.
struct TURNRealmReport: Sendable {
    let realm: TURNRealm
    let ring: SecretRing
    /// How many secrets the store holds for the realm, anybody's.
    let stored: Result<Int, SecretStoreError>
    /// Ids of ours that the store should hold and does not.
    let missing: [String]
    /// Why the last round did not do all its steps.
    let failure: SecretRotator.Failure?
    /// Unix seconds.
    let now: Int64
}
