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
        _ type: String, _ content: JSONObject, from sender: DeviceAddress, to devices: Set<DeviceAddress>,
    ) async -> Set<DeviceAddress> {
        var missed: Set<DeviceAddress> = []
        for device in devices {
            guard let receive = receivers[device], !unreachable.contains(device) else {
                missed.insert(device)
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

    struct Pen: DeviceMessaging {
        let post: DevicePost
        let device: DeviceAddress

        func send(_ type: String, _ content: JSONObject, to devices: Set<DeviceAddress>) async -> Set<DeviceAddress> {
            await post.send(type, content, from: device, to: devices)
        }
    }
}
