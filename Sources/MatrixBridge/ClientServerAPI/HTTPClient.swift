// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CCurl
import Foundation
import NIOConcurrencyHelpers

/// An HTTP/1.1 client over libcurl's multi interface: one thread drives all transfers and keeps connections open for
/// reuse.
///
/// Certificates are verified unless ``Configuration/verifiesCertificates`` is off. Proxies of the environment are not
/// used. URLs are never logged, because an OpenID token travels in a query. Cancelling the calling task ends the
/// transfer.
package final class HTTPClient: HTTPTransport {
    package struct Configuration: Sendable {
        /// Off accepts any certificate: for a test homeserver only.
        package var verifiesCertificates = true
        /// Transfers on the wire at once; the others wait within their own time limit.
        package var maximumConnections = 64
        /// Transfers on the wire and waiting; one more is refused as overload.
        package var maximumTransfers = 512

        package init() {}
    }

    private let loop: CurlLoop

    package init(configuration: Configuration = Configuration()) {
        self.loop = CurlLoop(configuration: configuration)
    }

    deinit {
        loop.enqueue(.close)
    }

    package func send(_ request: HTTPClientRequest) async throws(HTTPClientError) -> HTTPClientResponse {
        let id = loop.makeTransferID()
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                loop.enqueue(.start(id: id, request: request, continuation: continuation))
                // Cancelled before the start was queued: the first cancellation found nothing to end.
                if Task.isCancelled {
                    loop.enqueue(.cancel(id: id))
                }
            }
        } onCancel: {
            loop.enqueue(.cancel(id: id))
        }
        return try outcome.get()
    }
}

typealias HTTPClientContinuation = CheckedContinuation<Result<HTTPClientResponse, HTTPClientError>, Never>

/// The thread that owns the multi handle. Everything but the inbox is touched on that thread only.
private final class CurlLoop: Sendable {
    enum Command: Sendable {
        case start(id: UInt64, request: HTTPClientRequest, continuation: HTTPClientContinuation)
        case cancel(id: UInt64)
        case close
    }

    private struct Inbox {
        var commands: [Command] = []
        var nextID: UInt64 = 0
        /// Nil once the thread has ended: a wake-up must not touch a freed handle.
        var multi: MultiHandle?
    }

    private let inbox: NIOLockedValueBox<Inbox>

    init(configuration: HTTPClient.Configuration) {
        Self.initializeLibrary
        let multi = MultiHandle(pointer: curl_multi_init())
        CCurl_setMultiLong(multi.pointer, CURLMOPT_MAX_TOTAL_CONNECTIONS, configuration.maximumConnections)
        self.inbox = NIOLockedValueBox(Inbox(multi: multi))
        let thread = Thread { [self] in
            run(multi: multi, configuration: configuration)
        }
        thread.name = "http-client"
        thread.stackSize = 512 << 10
        thread.start()
    }

    func makeTransferID() -> UInt64 {
        inbox.withLockedValue { inbox in
            inbox.nextID &+= 1
            return inbox.nextID
        }
    }

    func enqueue(_ command: Command) {
        let isOpen = inbox.withLockedValue { inbox in
            guard let multi = inbox.multi else { return false }
            inbox.commands.append(command)
            curl_multi_wakeup(multi.pointer)
            return true
        }
        if !isOpen, case .start(_, _, let continuation) = command {
            continuation.resume(returning: .failure(.closed))
        }
    }

    private func run(multi: MultiHandle, configuration: HTTPClient.Configuration) {
        var transfers: [UInt64: CurlTransfer] = [:]
        var isClosing = false
        while !isClosing {
            for command in inbox.withLockedValue({ exchange(&$0.commands, with: []) }) {
                switch command {
                case .start(let id, let request, let continuation):
                    guard transfers.count < configuration.maximumTransfers else {
                        continuation.resume(returning: .failure(.overloaded))
                        continue
                    }
                    guard
                        let transfer = CurlTransfer(
                            request: request, verifiesCertificates: configuration.verifiesCertificates,
                            continuation: continuation)
                    else {
                        continuation.resume(returning: .failure(.invalidRequest("an option was refused")))
                        continue
                    }
                    CCurl_setPointer(transfer.easy, CURLOPT_PRIVATE, UnsafeMutableRawPointer(bitPattern: UInt(id)))
                    transfers[id] = transfer
                    curl_multi_add_handle(multi.pointer, transfer.easy)
                case .cancel(let id):
                    guard let transfer = transfers.removeValue(forKey: id) else { continue }
                    curl_multi_remove_handle(multi.pointer, transfer.easy)
                    transfer.finish(.failure(.cancelled))
                case .close:
                    isClosing = true
                }
            }
            var running: Int32 = 0
            curl_multi_perform(multi.pointer, &running)
            finishCompleted(multi: multi, transfers: &transfers)
            // Long waits are fine: the library shortens them to its own timers, and a command wakes the loop.
            if !isClosing {
                curl_multi_poll(multi.pointer, nil, 0, 60_000, nil)
            }
        }
        let leftOver = inbox.withLockedValue { inbox in
            inbox.multi = nil
            return exchange(&inbox.commands, with: [])
        }
        for transfer in transfers.values {
            curl_multi_remove_handle(multi.pointer, transfer.easy)
            transfer.finish(.failure(.closed))
        }
        for case .start(_, _, let continuation) in leftOver {
            continuation.resume(returning: .failure(.closed))
        }
        transfers.removeAll()
        curl_multi_cleanup(multi.pointer)
    }

    private func finishCompleted(multi: MultiHandle, transfers: inout [UInt64: CurlTransfer]) {
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi.pointer, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle else { continue }
            // The message dies with the removal of its handle.
            let code = CCurl_messageResult(message)
            curl_multi_remove_handle(multi.pointer, easy)
            var id: UnsafeMutableRawPointer?
            CCurl_getPointer(easy, CURLINFO_PRIVATE, &id)
            guard let transfer = transfers.removeValue(forKey: UInt64(UInt(bitPattern: id))) else { continue }
            transfer.finish(transfer.outcome(code))
        }
    }

    private static let initializeLibrary: Void = {
        curl_global_init(Int(CURL_GLOBAL_DEFAULT))
    }()
}

/// The multi handle as a value that may cross to its thread.
///
/// Sendable by proof: after `init` only the loop's thread uses it, except for `curl_multi_wakeup`, which the library
/// allows from any thread and which is called under the lock that also guards the handle's end.
private struct MultiHandle: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer?
}
