// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc
import TURNCreds

/// How many TURN credentials one core makes in a second.
///
///     CALLBRIDGE_BENCHMARKS=1 swift build -c release --scratch-path .build/benchmarks --product turncreds \
///         -Xswiftc -enable-testing && .build/benchmarks/release/turncreds
///
/// Each is for another user, with three servers, from pseudonym to password. Exits with 1 below 10,000 a second of
/// processor time.
@main
enum CredentialRate {
    private static let count = 100_000
    private static let required = 10_000.0

    static func main() throws {
        guard let secret = TURNSecret.random() else { exit(1) }
        let servers = try TURNServer.Transport.allCases.map { transport in
            try TURNServer(host: "turn.example.org", transport: transport)
        }
        let issuer = TURNCredentialIssuer(servers: servers, secret: secret, lifetimeSeconds: 14_400)
        let began = clock()
        var bytes = 0
        for number in 0..<count {
            let user = try TURNCredential.pseudonym(user: "@user\(number):example.org", device: "DEVICE")
            bytes += try issuer.access(user: user, now: 1_800_000_000)[0].credential.utf8.count
        }
        let seconds = Double(clock() - began) / Double(CLOCKS_PER_SEC)
        let rate = Double(count) / seconds
        print("\(Int(rate)) credentials a second on one core (\(bytes / count) bytes of password each)")
        exit(rate >= required ? 0 : 1)
    }
}
