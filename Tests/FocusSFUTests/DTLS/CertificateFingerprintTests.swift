// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Testing

@Suite("Certificate fingerprints, RFC 8122 §5")
struct CertificateFingerprintTests {
    @Test("the text of a certificate's fingerprint is read back, in either case")
    func roundTrip() throws {
        let fingerprint = try DTLSCertificate(unixTimeSeconds: 1_800_000_000).fingerprint
        #expect(fingerprint.attributeValue.hasPrefix("sha-256 "))
        #expect(fingerprint.hexadecimal.utf8.count == 95)
        #expect(CertificateFingerprint(hexadecimal: fingerprint.hexadecimal) == fingerprint)
        #expect(CertificateFingerprint(hexadecimal: fingerprint.hexadecimal.lowercased()) == fingerprint)
    }

    @Test(
        "other texts are refused",
        arguments: [
            "", ":", "AB", String(repeating: "AB:", count: 31), String(repeating: "AB:", count: 32),
            String(repeating: "AB:", count: 31) + "A", String(repeating: "AB:", count: 31) + "GG",
            String(repeating: "AB:", count: 31) + "ABC", String(repeating: "AB", count: 32),
            String(repeating: "AB:", count: 100_000),
        ])
    func refused(text: String) {
        #expect(CertificateFingerprint(hexadecimal: text) == nil)
    }

    @Test("no two certificates are alike")
    func distinct() throws {
        let first = try DTLSCertificate(unixTimeSeconds: 1_800_000_000)
        let second = try DTLSCertificate(unixTimeSeconds: 1_800_000_000)
        #expect(first.fingerprint != second.fingerprint)
    }
}
