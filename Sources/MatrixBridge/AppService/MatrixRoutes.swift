// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
package import FocusSFU
import NIOHTTP1

/// Registers everything that homeservers and Matrix clients call.
///
/// Every path is served at the root and below each prefix, because a reverse proxy that does not strip the prefix of
/// the public URL is the classic mistake of such set-ups.
package struct MatrixRoutes: Sendable {
    private let appService: AppServiceRoutes
    private let tokens: TokenRoutes
    /// Nil without the second registration.
    private let proxied: ProxiedTokenRoutes?
    private let readiness: @Sendable () async -> Readiness

    package init(
        appService: AppServiceRoutes, tokens: TokenRoutes, proxied: ProxiedTokenRoutes? = nil,
        readiness: @escaping @Sendable () async -> Readiness,
    ) {
        self.appService = appService
        self.tokens = tokens
        self.proxied = proxied
        self.readiness = readiness
    }

    /// - Parameter prefixes: Paths such as `/livekit/jwt`, without a slash at the end.
    package func register(on router: inout HTTPRouter, prefixes: [String] = []) {
        for prefix in [""] + prefixes {
            registerAppService(on: &router, below: prefix)
            registerTokens(on: &router, below: prefix)
            proxied?.register(on: &router, below: prefix)
            registerHealth(on: &router, below: prefix)
        }
    }

    private func registerAppService(on router: inout HTTPRouter, below prefix: String) {
        let base = prefix + "/_matrix/app/v1"
        router.on(
            .PUT, base + "/transactions/:txnId", bodyLimit: TransactionInbox.maximumBodyByteCount,
            admission: { [appService] request in appService.refusal(of: request) },
            oversized: { [appService] request, parameters in
                await appService.oversizedTransaction(request, id: parameters["txnId"] ?? "")
            }
        ) { [appService] request, parameters in
            await appService.transaction(request, id: parameters["txnId"] ?? "")
        }
        router.on(.POST, base + "/ping") { [appService] request, _ in await appService.ping(request) }
        router.on(.GET, base + "/users/:userId") { [appService] request, parameters in
            await appService.user(request, id: parameters["userId"] ?? "")
        }
        router.on(.GET, base + "/rooms/:alias") { [appService] request, _ in await appService.nothing(request) }
        router.on(.GET, base + "/thirdparty/*") { [appService] request, _ in await appService.nothing(request) }
        for path in ["/transactions/:txnId", "/ping", "/users/:userId", "/rooms/:alias", "/thirdparty/*"] {
            refuseOtherMethods(on: &router, at: base + path)
        }
    }

    private func registerTokens(on router: inout HTTPRouter, below prefix: String) {
        let limit = TokenRequest.maximumBodyByteCount
        router.on(.POST, prefix + "/sfu/get", bodyLimit: limit) { [tokens] request, _ in
            await tokens.compatibility(request)
        }
        router.on(.POST, prefix + "/get_token", bodyLimit: limit) { [tokens] request, _ in
            await tokens.slot(request)
        }
        router.on(.POST, prefix + "/delegate_delayed_leave", bodyLimit: limit) { [tokens] request, _ in
            await tokens.delegation(request)
        }
        // A focus of LiveKit's is told to report here; ours has nothing to report.
        router.on(.POST, prefix + "/sfu_webhook", bodyLimit: limit) { _, _ in .empty(.ok) }
        for path in ["/sfu/get", "/get_token", "/delegate_delayed_leave"] {
            refuseOtherMethods(on: &router, at: prefix + path)
        }
    }

    private func registerHealth(on router: inout HTTPRouter, below prefix: String) {
        router.on(.GET, prefix + "/healthz") { _, _ in .empty(.ok) }
        router.on(.GET, prefix + "/readyz") { [readiness] _, _ in
            let readiness = await readiness()
            return .json(readiness.body.compactJSON, status: readiness.isReady ? .ok : .serviceUnavailable)
        }
        for path in ["/healthz", "/readyz"] {
            refuseOtherMethods(on: &router, at: prefix + path)
        }
    }

    /// The router's own refusal has a text, which clients of these paths do not expect.
    private func refuseOtherMethods(on router: inout HTTPRouter, at path: String) {
        router.onAny(path) { _, _ in .empty(.methodNotAllowed) }
    }
}
