// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import MatrixBridge
import OlmE2EE

/// Carries messages between the devices of a test, in memory.
actor DevicePost {
    struct Letter: Equatable {
        var from: DeviceAddress
        var to: DeviceAddress
        var content: JSONObject
    }

    private var receivers: [DeviceAddress: @Sendable (ToDeviceMessage) async -> Void] = [:]
    private var unreachable: Set<DeviceAddress> = []
    /// What was delivered, in order.
    private(set) var letters: [Letter] = []
    private(set) var missedCount = 0
    private var waiting: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []

    func open(_ device: DeviceAddress, _ receive: @escaping @Sendable (ToDeviceMessage) async -> Void) {
        receivers[device] = receive
    }

    /// What comes to a device, as a stream.
    func messages(to device: DeviceAddress) -> AsyncStream<ToDeviceMessage> {
        let (stream, continuation) = AsyncStream<ToDeviceMessage>.makeStream()
        receivers[device] = { continuation.yield($0) }
        return stream
    }

    func setReachable(_ device: DeviceAddress, _ isReachable: Bool) {
        if isReachable { unreachable.remove(device) } else { unreachable.insert(device) }
    }

    /// Waits until so many letters have been delivered and read, or failed.
    func handled(_ count: Int) async {
        guard letters.count + missedCount < count else { return }
        await withCheckedContinuation { waiting.append((count, $0)) }
    }

    func keyIndices(to device: DeviceAddress) -> [Int64] {
        letters.filter { $0.to == device }.compactMap { $0.content["keys"]?["index"]?.integer }
    }

    func send(
        _ type: String, _ contents: [DeviceAddress: JSONObject], from sender: DeviceAddress,
    ) async -> [DeviceAddress: ToDeviceFailure] {
        var missed: [DeviceAddress: ToDeviceFailure] = [:]
        for (device, content) in contents {
            guard let receive = receivers[device], !unreachable.contains(device) else {
                missed[device] = .unknownDevice
                continue
            }
            await receive(ToDeviceMessage(sender: sender, type: type, content: content))
            letters.append(Letter(from: sender, to: device, content: content))
        }
        missedCount += missed.count
        let done = waiting.filter { $0.count <= letters.count + missedCount }
        waiting.removeAll { $0.count <= letters.count + missedCount }
        for waiter in done { waiter.continuation.resume() }
        return missed
    }

    /// What one device writes with.
    nonisolated func pen(of device: DeviceAddress) -> Pen { Pen(post: self, device: device) }

    struct Pen: ToDeviceMessaging {
        // The test holds the post, the post holds those who receive, and those hold their pens.
        weak let post: DevicePost?
        let device: DeviceAddress

        func send(
            _ type: String, _ contents: [DeviceAddress: JSONObject],
        ) async -> [DeviceAddress: ToDeviceFailure] {
            await post?.send(type, contents, from: device) ?? [:]
        }

        func messages(ofTypes types: Set<String>) async -> AsyncStream<ToDeviceMessage> {
            await post?.messages(to: device) ?? AsyncStream { $0.finish() }
        }
    }
}
