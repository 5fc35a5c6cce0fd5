// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
package import FocusSFU

/// What clients call to take part in a call (MSC4195's backend, both deployed generations).
package struct TokenRoutes: Sendable {
    private let exchange: TokenExchange

    package init(exchange: TokenExchange) {
        self.exchange = exchange
    }

    /// `POST /sfu/get`.
    package func compatibility(_ request: HTTPRequest) async -> HTTPResponse {
        await answer(request, TokenRequest.compatibility)
    }

    /// `POST /get_token`.
    package func slot(_ request: HTTPRequest) async -> HTTPResponse {
        await answer(request, TokenRequest.slot)
    }

    /// `POST /delegate_delayed_leave`. Clients take 404 for a focus without the feature, so it is never the answer.
    package func delegation(_ request: HTTPRequest) async -> HTTPResponse {
        let body = request.body
        do throws(TokenExchangeRefusal) {
            try await exchange.delegate { () throws(TokenExchangeRefusal) in
                guard body.count <= TokenRequest.maximumBodyByteCount else { throw .bodyTooLarge }
                return try TokenRequest.delegation(body)
            }
            return .matrix(.object([:]))
        } catch .delegationNotAllowed {
            // At the token endpoints a client repeats its request without the wish; here the wish is everything.
            var refusal = TokenExchangeRefusal.delegationNotAllowed.answer
            (refusal.status, refusal.code) = (403, .forbidden)
            return .matrix(refusal)
        } catch {
            return .matrix(error.answer)
        }
    }

    private func answer(
        _ request: HTTPRequest,
        _ read: @escaping @Sendable ([UInt8]) throws(TokenExchangeRefusal) -> TokenRequest,
    ) async -> HTTPResponse {
        let body = request.body
        do throws(TokenExchangeRefusal) {
            let answer = try await exchange.answer { () throws(TokenExchangeRefusal) in
                guard body.count <= TokenRequest.maximumBodyByteCount else { throw .bodyTooLarge }
                return try read(body)
            }
            return .matrix(answer.body)
        } catch {
            return .matrix(error.answer)
        }
    }
}
