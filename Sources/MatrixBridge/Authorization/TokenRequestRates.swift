// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU

/// How often tokens may be asked for: by user, device, room and other homeserver, each at its own rate. Pure.
struct TokenRequestRates: Sendable {
    private var rates: [AccessLimits.RateScope: RequestRate] = [:]

    init(_ limits: AccessLimits) {
        // A part of a minute's requests may come at once.
        for (scope, perMinute, share, names) in [
            (AccessLimits.RateScope.user, limits.tokensPerUser, 3, 16_384),
            (.device, limits.tokensPerDevice, 3, 16_384), (.room, limits.tokensPerRoom, 3, 16_384),
            (.homeserver, limits.tokensPerHomeserver, 10, 4_096),
        ] where perMinute > 0 {
            rates[scope] = RequestRate(
                burst: max(1, perMinute / share), perSecond: Double(perMinute) / 60, maximumNames: names)
        }
    }

    mutating func spend(
        _ scope: AccessLimits.RateScope, _ name: String, at now: MonotonicTime,
    ) throws(TokenExchangeRefusal) {
        if let milliseconds = rates[scope]?.spend(name, at: now) {
            throw .rateLimited(retryAfterMilliseconds: milliseconds, scope: scope)
        }
    }
}
