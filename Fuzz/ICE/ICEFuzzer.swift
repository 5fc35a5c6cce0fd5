// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

@testable import FocusSFU
import FuzzInput

/// A script of STUN datagrams for one agent, from several addresses and with time passing between.
///
///     | flags | milliseconds | length (2) | datagram | …
///
/// Flag 0x01 restarts the agent first, 0x02 tries the bytes as a candidate line too; the high bits choose the sender.
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzICE(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    var input = FuzzInput(start, count)
    let credentials = ICECredentials(usernameFragment: "evtj", password: "VOkJxbRl1RmTxUk/WvJxBt")
    guard let credentials else { return 0 }
    var agent = ICELiteAgent(credentials: credentials)
    agent.setRemoteUsernameFragment("h6vY")
    var now = MonotonicTime(nanoseconds: 1_000_000_000)
    var response = ByteWriter()
    while !input.isEmpty {
        let flags = input.nextByte()
        now = now.advanced(byMilliseconds: 16 * UInt64(input.nextByte()))
        let datagram = input.nextDatagram()
        if flags & 0x01 != 0 { agent.restart(with: credentials) }
        if flags & 0x02 != 0 { roundTripCandidate(datagram) }
        let address = NetworkAddress(ipv4: 0x7F00_0001, port: 4000 + UInt16(flags >> 3))
        _ = ICELiteAgent.localUsernameFragment(of: datagram)
        _ = agent.receive(datagram, from: address, at: now, response: &response)
        precondition(response.count <= 3 * max(datagram.count, 1), "an answer that amplifies")
        while agent.nextEvent() != nil {}
        _ = agent.state(at: now)
        if let deadline = agent.nextDeadline(after: now) { precondition(deadline >= now, "a deadline in the past") }
    }
    return 0
}

private func roundTripCandidate(_ bytes: UnsafeRawBufferPointer) {
    guard let candidate = Candidate(line: String(decoding: bytes, as: UTF8.self)) else { return }
    _ = candidate.address
    precondition(Candidate(line: candidate.line) == candidate, "a candidate that is not read back")
}
