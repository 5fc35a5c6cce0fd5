// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A packet's number among all packets of one transport. draft-holmer-rmcat-transport-wide-cc-extensions-01 §2.
///
///     |  transport-wide sequence number, 16 bits  |
package struct TransportSequenceNumber: Equatable, Sendable {
    package let value: UInt16

    package init(_ value: UInt16) {
        self.value = value
    }

    package init(reading value: UnsafeRawBufferPointer) throws(RTPError) {
        var reader = ByteReader(value)
        do throws(ByteReaderError) {
            self.value = try reader.readUInt16()
        } catch {
            throw RTPError(error)
        }
    }
}
