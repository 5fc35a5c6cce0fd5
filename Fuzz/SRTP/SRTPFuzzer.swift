// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import FuzzInput

/// Both ends of one protected connection with fixed keys; the master key bytes count up from zero.
private struct Connection {
    let client: SRTPSession
    let server: SRTPSession

    init(profile: SRTPProfile) throws(SRTPError) {
        let keying = SRTPKeyingMaterial(profile: profile) { (bytes) throws(Never) in
            for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index) }
        }
        client = try SRTPSession(keying: keying, localRole: .client)
        server = try SRTPSession(keying: keying, localRole: .server)
    }
}

/// Packets from the network, and packets of a real sender that were changed on the way.
///
///     | flags | position | change | length (2) | packet | …
///
/// One byte before all that chooses the profile. Flag 0x01 is RTCP, 0x02 has the packet protected by the real sender
/// first and byte `position` changed then.
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzSRTP(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    var input = FuzzInput(start, count)
    let profile: SRTPProfile = input.nextByte() & 1 == 0 ? .aeadAes128Gcm : .aes128CmHmacSha1Tag80
    guard let connection = try? Connection(profile: profile) else { return 0 }
    var sent = SRTPStreamState()
    var received = SRTPReceiveStreamState()
    while !input.isEmpty {
        let flags = input.nextByte()
        let position = Int(input.nextByte())
        let change = input.nextByte()
        let bytes = input.nextDatagram()
        let isRTCP = flags & 0x01 != 0
        guard flags & 0x02 != 0 else {
            let length = bytes.count
            withCopy(of: bytes, capacity: length) { packet in
                _ = unprotect(packet, length, isRTCP: isRTCP, connection.server.receiver, &received)
            }
            continue
        }
        withCopy(of: bytes, capacity: bytes.count + SRTPProfile.maximumOverhead) { packet in
            let sender = connection.client.sender
            let capacity = bytes.count + SRTPProfile.maximumOverhead
            let length =
                isRTCP
                ? sender.protectRTCP(packet: packet, length: bytes.count, capacity: capacity)
                : sender.protect(packet: packet, length: bytes.count, capacity: capacity, state: &sent)
            guard length > 0 else { return }
            let place = packet + position % length
            place.storeBytes(of: place.load(as: UInt8.self) ^ change, as: UInt8.self)
            let result = unprotect(packet, length, isRTCP: isRTCP, connection.server.receiver, &received)
            if case .accepted = result { precondition(change == 0, "a changed packet passed") }
        }
    }
    return 0
}

private func unprotect(
    _ packet: UnsafeMutableRawPointer,
    _ length: Int,
    isRTCP: Bool,
    _ receiver: SRTPReceiver,
    _ state: inout SRTPReceiveStreamState
) -> SRTPResult {
    isRTCP
        ? receiver.unprotectRTCP(packet: packet, length: length)
        : receiver.unprotect(packet: packet, length: length, state: &state)
}

/// A copy that ends where its memory ends, so that the sanitizer sees every read behind it.
private func withCopy(
    of bytes: UnsafeRawBufferPointer,
    capacity: Int,
    _ body: (UnsafeMutableRawPointer) -> Void
) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 1)
    defer { copy.deallocate() }
    copy.copyMemory(from: bytes)
    if let start = copy.baseAddress { body(start) }
}
