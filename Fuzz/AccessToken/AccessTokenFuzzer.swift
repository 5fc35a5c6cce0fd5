// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

@testable import FocusSFU
import FuzzInput

private let keys = try? APIKeySet(secrets: ["devkey": "a secret of thirty-two bytes or so"])
private let now: Int64 = 1_700_000_000

/// A token from the network, or its claims signed with the right key.
///
/// An even first byte: all that follows is the token. An odd one: all that follows are the claims, in JSON.
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzAccessToken(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    guard let keys, let key = keys.keys.first else { return 0 }
    var input = FuzzInput(start, count)
    let isSigned = input.nextByte() & 1 != 0
    let bytes = input.remainder()
    let verifier = AccessTokenVerifier(keys: keys)
    var token = String(decoding: bytes, as: UTF8.self)
    if isSigned {
        let message = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + Base64URL.encode(bytes)
        guard let signature = TokenDigest.hmacSHA256(key: key.secret, message: message.utf8) else { return 0 }
        token = message + "." + Base64URL.encode(signature)
    }
    do throws(TokenRefusal) {
        let claims = try verifier.verify(token, now: now)
        precondition(isSigned, "a token nobody signed")
        precondition(claims.issuer == key.name && claims.expiry != nil, "claims that the verifier must refuse")
        _ = claims.grant.mayAdminister(room: "room")
        _ = claims.grant.mayPublish(source: "camera")
        if let again = try? AccessToken.sign(claims, with: key) {
            precondition((try? verifier.verify(again, now: now)) != nil, "a token of ours that we refuse")
        }
    } catch {
        precondition(!error.responseBody.isEmpty && !error.description.isEmpty, "a refusal without a reason")
    }
    return 0
}
