// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The value of XOR-MAPPED-ADDRESS, RFC 8489 §14.2.
///
///     |0 0 0 0 0 0 0 0|    family     |     port ^ cookie high half   |
///     |   address ^ cookie (IPv4), ^ cookie and transaction ID (IPv6) |
enum STUNAddress {
    private static let familyIPv4: UInt8 = 1
    private static let familyIPv6: UInt8 = 2
    private static let portMask = UInt16(STUNMessage.magicCookie >> 16)

    static func read(
        _ value: UnsafeRawBufferPointer, transactionID: STUNMessage.TransactionID
    ) throws(STUNError) -> NetworkAddress {
        var reader = ByteReader(value)
        let family: UInt8
        do throws(ByteReaderError) {
            try reader.skip(1)
            family = try reader.readUInt8()
            let port = try reader.readUInt16() ^ portMask
            if family == familyIPv4 {
                return NetworkAddress(ipv4: try reader.readUInt32() ^ STUNMessage.magicCookie, port: port)
            }
            if family == familyIPv6 {
                let mask = highMask(transactionID)
                return NetworkAddress(
                    high: try reader.readUInt64() ^ mask, low: try reader.readUInt64() ^ transactionID.low, port: port)
            }
        } catch {
            throw STUNError(error)
        }
        throw .addressFamily(family)
    }

    static func write(
        _ address: NetworkAddress, transactionID: STUNMessage.TransactionID, into writer: inout ByteWriter
    ) {
        writer.write(UInt8(0))
        writer.write(address.isIPv4 ? familyIPv4 : familyIPv6)
        writer.write(address.port ^ portMask)
        if address.isIPv4 {
            writer.write(address.ipv4 ^ STUNMessage.magicCookie)
        } else {
            writer.write(address.high ^ highMask(transactionID))
            writer.write(address.low ^ transactionID.low)
        }
    }

    private static func highMask(_ transactionID: STUNMessage.TransactionID) -> UInt64 {
        UInt64(STUNMessage.magicCookie) << 32 | UInt64(transactionID.high)
    }
}
