// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The packets of one RTCP datagram. RFC 3550 §6.1 and appendix A.2; reduced-size datagrams, which start with any
/// packet, are as good (RFC 5506 §3.4.2).
///
/// All headers are checked before the first packet is handed out, so that a datagram counts whole or not at all.
/// It borrows the datagram's memory and allocates nothing.
package struct RTCPCompound: Sequence {
    private let datagram: UnsafeRawBufferPointer

    package init(_ datagram: UnsafeRawBufferPointer) throws(RTCPError) {
        self.datagram = datagram
        var reader = ByteReader(datagram)
        repeat {
            _ = try RTCPPacket(reading: &reader)
        } while !reader.isAtEnd
    }

    package func makeIterator() -> Iterator {
        Iterator(reader: ByteReader(datagram))
    }

    package struct Iterator: IteratorProtocol {
        fileprivate var reader: ByteReader

        package mutating func next() -> RTCPPacket? {
            guard !reader.isAtEnd else { return nil }
            do throws(RTCPError) {
                return try RTCPPacket(reading: &reader)
            } catch {
                // Unreachable for bytes that have not changed since `init` read them.
                return nil
            }
        }
    }
}
