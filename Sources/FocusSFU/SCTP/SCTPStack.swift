// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

internal import CUsrSCTP
internal import Glibc

/// Names an association in callbacks; never used twice in a process.
package struct SCTPAssociationID: Hashable, Sendable {
    package let rawValue: UInt
}

/// The owner of usrsctp, which is global to the process and started without threads of its own.
///
/// Threads:
/// - An ``SCTPAssociation`` is used by one thread, its owner; different associations by different threads at once.
/// - ``advance(to:)`` is called by any thread, for the whole process, some 20 ms apart; callers take turns. It may
///   produce output of every association.
/// - usrsctp calls back on the thread that entered it, with its locks held. The callbacks find the association by
///   number, append to its mailbox under a lock, and call the `onReady` given with the association. That closure may be
///   called from any thread, must not call anything in this folder, and should only have the owner woken, who then
///   drains ``SCTPAssociation/nextOutput()``. It is not called for what the owner's own calls produce.
package final class SCTPStack: Sendable {
    /// usrsctp can be started once in a process, so there is one of it.
    package static let process = SCTPStack()

    private struct Registry {
        var next: UInt = 1
        var mailboxes: [UInt: SCTPMailbox] = [:]
    }

    private let registry = PthreadMutex(Registry())
    private let lastAdvance = PthreadMutex<MonotonicTime?>(nil)

    private init() {
        let callbacks = CUsrSCTP_callbacks(
            packet: { number, bytes, length in
                let packet = [UInt8](UnsafeRawBufferPointer(start: bytes, count: length))
                return SCTPStack.process.deliver(.packet(packet), to: number) ? 0 : ENOENT
            },
            data: { number, data in
                _ = SCTPStack.process.deliver(
                    .data(
                        stream: data.stream,
                        payloadProtocol: data.payloadProtocol,
                        bytes: [UInt8](UnsafeRawBufferPointer(start: data.bytes, count: data.length)),
                        endsMessage: data.endsMessage != 0
                    ), to: number)
            },
            up: { number in _ = SCTPStack.process.deliver(.connected, to: number) },
            lost: { number in _ = SCTPStack.process.deliver(.lost, to: number) },
            reset: { number, reset in
                _ = SCTPStack.process.deliver(
                    .streamsReset(
                        incoming: reset.incoming != 0,
                        outgoing: reset.outgoing != 0,
                        streams: [UInt16](UnsafeBufferPointer(start: reset.streams, count: reset.count))
                    ), to: number)
            })
        // RFC 9260 §16 asks for 1 s to 60 s, meant for paths nobody has measured; ICE has, and people wait.
        CUsrSCTP_init(
            callbacks,
            CUsrSCTP_timing(initialRTO: 500, shortestRTO: 250, longestRTO: 4_000, delayedAcknowledgement: 20))
    }

    /// Lets usrsctp's timers run.
    /// - Parameter elapsedMilliseconds: since the last call.
    package func handleTimers(elapsedMilliseconds: UInt32) {
        CUsrSCTP_handle_timers(elapsedMilliseconds)
    }

    /// Lets the timers run up to `now`. Any number of threads may call it, each with the time it has.
    package func advance(to now: MonotonicTime) {
        lastAdvance.withLock { last in
            let elapsed = last.map { now.milliseconds(since: $0) } ?? 1
            guard elapsed > 0 else { return }
            last = now
            handleTimers(elapsedMilliseconds: UInt32(clamping: elapsed))
        }
    }

    /// Associations that exist, for metrics.
    package var associationCount: Int { registry.withLock { $0.mailboxes.count } }

    func register(onReady: @escaping @Sendable (SCTPAssociationID) -> Void) -> (SCTPAssociationID, SCTPMailbox) {
        registry.withLock { registry in
            let id = SCTPAssociationID(rawValue: registry.next)
            registry.next += 1
            let mailbox = SCTPMailbox(id: id, onReady: onReady)
            registry.mailboxes[id.rawValue] = mailbox
            return (id, mailbox)
        }
    }

    func deregister(_ id: SCTPAssociationID) {
        registry.withLock { _ = $0.mailboxes.removeValue(forKey: id.rawValue) }
    }

    /// Called back by usrsctp.
    /// - Returns: false when the association is gone.
    private func deliver(_ delivery: SCTPDelivery, to number: UInt) -> Bool {
        guard let mailbox = registry.withLock({ $0.mailboxes[number] }) else { return false }
        mailbox.deliver(delivery)
        return true
    }
}
