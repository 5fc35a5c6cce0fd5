// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CDatagramIO

/// Builds RTP headers in a caller's buffer.
enum PacketWriter {
    /// Twelve fixed bytes, at most one extension of 255 bytes with its block header, and padding.
    static let maximumHeaderLength = 12 + 4 + 2 + 255 + 3

    /// The most that a header with this extension value takes, in bytes.
    static func longestHeader(of extensionValue: UnsafeRawBufferPointer) -> Int {
        extensionValue.isEmpty ? 12 : 12 + 4 + 2 + extensionValue.count + 3
    }

    /// Writes an RTP header (RFC 3550 §5.1) with at most one header extension (RFC 8285); returns its length.
    ///
    /// - Parameters:
    ///   - extensionID: negotiated id; zero writes no extension.
    ///   - extensionValue: its bytes; two-byte form is used when the one-byte form cannot hold it.
    @inline(__always)
    static func writeHeader(
        into base: UnsafeMutableRawPointer, payloadType: UInt8, marker: Bool, sequence: UInt16, timestamp: UInt32,
        ssrc: UInt32, extensionID: UInt8, extensionValue: UnsafeRawBufferPointer
    ) -> Int {
        let hasExtension = extensionID != 0 && !extensionValue.isEmpty && extensionValue.count <= 255
        base.storeBytes(of: hasExtension ? 0x90 : 0x80, as: UInt8.self)
        base.storeBytes(of: (marker ? 0x80 : 0) | payloadType, toByteOffset: 1, as: UInt8.self)
        base.storeBytes(of: sequence.bigEndian, toByteOffset: 2, as: UInt16.self)
        base.storeBytes(of: timestamp.bigEndian, toByteOffset: 4, as: UInt32.self)
        base.storeBytes(of: ssrc.bigEndian, toByteOffset: 8, as: UInt32.self)
        guard hasExtension, let value = extensionValue.baseAddress else { return 12 }
        let isOneByteForm = extensionID < 15 && extensionValue.count <= 16
        let profile: UInt16 = isOneByteForm ? 0xBEDE : 0x1000
        base.storeBytes(of: profile.bigEndian, toByteOffset: 12, as: UInt16.self)
        var length = 16
        if isOneByteForm {
            base.storeBytes(
                of: extensionID << 4 | UInt8(extensionValue.count - 1), toByteOffset: length, as: UInt8.self)
            length += 1
        } else {
            base.storeBytes(of: extensionID, toByteOffset: length, as: UInt8.self)
            base.storeBytes(of: UInt8(extensionValue.count), toByteOffset: length + 1, as: UInt8.self)
            length += 2
        }
        (base + length).copyMemory(from: value, byteCount: extensionValue.count)
        length += extensionValue.count
        while length % 4 != 0 {
            base.storeBytes(of: 0, toByteOffset: length, as: UInt8.self)
            length += 1
        }
        base.storeBytes(of: UInt16((length - 16) / 4).bigEndian, toByteOffset: 14, as: UInt16.self)
        return length
    }
}
