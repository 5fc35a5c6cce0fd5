// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FuzzInput

@testable import TURNCreds

/// Whatever a TURN server, or somebody in its place, sends to our client: a script of datagrams or pieces of a stream.
///
/// The client's transactions all have one id, and a message that can be read is given the code of a server that knows
/// the password, so that what stands behind both checks is reached as well.
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzTURN(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    var input = FuzzInput(start, count)
    let choice = input.nextByte()
    guard let peer = RelayAddress("198.51.100.8", port: 9) else { return 0 }
    var client = TURNClient(carrier: choice & 1 == 0 ? .datagrams : .stream, username: "u", password: "p") {
        TURNTransactionID(high: 1, low: 2)
    }
    let operations: [TURNOperation] = [
        .allocate(.ipv4, .udp), .createPermission(peer), .bindChannel(0x4000, peer), .refresh(lifetimeSeconds: 0),
    ]
    client.start(operations[Int(choice >> 1 & 3)], at: 0)
    var key: [UInt8]?
    var now: UInt64 = 0
    while !input.isEmpty {
        let bytes = Array(input.nextDatagram())
        now += 10
        if let message = try? TURNMessage(bytes) {
            let again = try? TURNMessage(message.encoded())
            precondition(again == message, "a message that is not read back")
            if let realm = message[.realm] {
                key = STUNChecksum.longTermKey(username: "u", realm: realm, password: "p")
            }
            client.receive(message.encoded(key: key), at: now)
        }
        client.receive(bytes, at: now)
        client.tick(at: now)
        precondition(client.takeOutput().count < 8, "one datagram makes a flood")
        for event in client.takeEvents() {
            if case .allocated(let allocation) = event { client.send([1, 2, 3], to: allocation.relayed) }
        }
    }
    client.tick(at: now + TURNClient.timeLimitMilliseconds)
    precondition(client.deadline == nil, "an operation without end")
    return 0
}
