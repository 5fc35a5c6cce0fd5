// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Cuts a run of DTLS records into datagrams (RFC 6347 §4.1.1).
///
/// OpenSSL writes whole records, each no longer than a datagram may be, but a memory BIO forgets where one write ended.
/// Handshake records are packed together as long as they fit; records of application data go alone.
enum DTLSRecords {
    /// Content type, version, epoch, sequence number, length.
    static let headerLength = 13
    private static let applicationData: UInt8 = 23

    static func datagrams(_ bytes: UnsafeRawBufferPointer, limit: Int) -> [[UInt8]] {
        var datagrams: [[UInt8]] = []
        var current: [UInt8] = []
        var start = 0
        while start < bytes.count {
            let length = recordLength(bytes, at: start)
            let record = UnsafeRawBufferPointer(rebasing: bytes[start..<start + length])
            let isAlone = record[0] == applicationData
            if !current.isEmpty, isAlone || current.count + length > limit {
                datagrams.append(current)
                current = []
            }
            current.append(contentsOf: record)
            if isAlone {
                datagrams.append(current)
                current = []
            }
            start += length
        }
        if !current.isEmpty { datagrams.append(current) }
        return datagrams
    }

    private static func recordLength(_ bytes: UnsafeRawBufferPointer, at start: Int) -> Int {
        let available = bytes.count - start
        guard available >= headerLength else { return available }
        let body = Int(bytes[start + 11]) << 8 | Int(bytes[start + 12])
        return min(headerLength + body, available)
    }
}
