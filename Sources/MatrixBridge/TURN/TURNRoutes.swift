// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import NIOHTTP1

/// Registers what gives TURN credentials over HTTP.
struct TURNRoutes: Sendable {
    /// Nil without a homeserver.
    private let matrix: TURNServerAnswer?
    private let provisioning: TURNProvisioning

    init(_ providers: TURNProviders, keys: APIKeySet, matrix settings: MatrixConfiguration?, clock: ServiceClock) {
        provisioning = TURNProvisioning(providers: providers, keys: keys, clock: clock)
        matrix = settings.map { settings in
            var http = HTTPClient.Configuration()
            http.verifiesCertificates = !settings.acceptsAnyTLSCertificate
            return TURNServerAnswer(
                providers: providers, transport: HTTPClient(configuration: http),
                homeserverURL: settings.homeserverURL, clock: clock)
        }
    }

    /// - Parameter prefixes: Paths below which everything is served once more, without a slash at the end.
    func register(on router: inout HTTPRouter, prefixes: [String]) {
        for prefix in [""] + prefixes {
            router.on(.GET, prefix + "/turn/credentials") { [provisioning] request, _ in
                provisioning.answer(request)
            }
            guard let matrix else { continue }
            for version in ["v3", "r0"] {
                router.on(.GET, prefix + "/_matrix/client/\(version)/voip/turnServer") { request, _ in
                    await matrix.answer(request)
                }
            }
        }
    }

    var refusals: [(reason: String, value: UInt64)] {
        var list: [(reason: String, value: UInt64)] = [("provisioningToken", provisioning.refusals["token"])]
        guard let matrix else { return list }
        for reason in TURNServerAnswer.Refusal.allCases { list.append((reason.rawValue, matrix.refusals[reason])) }
        return list
    }
}
