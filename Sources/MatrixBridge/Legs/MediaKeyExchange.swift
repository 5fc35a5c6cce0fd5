// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
import FocusSFU
package import Logging
package import OlmE2EE

/// The media keys of one leg of ours in one encrypted call: gives ours to those who take part, takes theirs, and tells
/// the leg's frames what to open and to seal with.
///
/// Nothing here waits for the homeserver but ``run()``, which must run for keys to go out.
package actor MediaKeyExchange {
    /// Why a message had no effect.
    package enum Refusal: Error, Hashable, Sendable {
        case unreadable(EventRefusal)
        /// It is about another room than the leg's.
        case otherRoom
        /// It speaks for another device than the one it came from.
        case otherDevice
        /// A key of that index was received later.
        case outdated
        /// Too many keys wait for memberships: an earlier one had to go.
        case tooManyWaiting
        /// A member was one too many: it is given no key. Counted whenever the members are looked at.
        case tooManyDevices
        /// A member was one too many: its keys are not taken. Counted likewise.
        case tooManyMembers

        /// The label of a counter.
        package var name: String {
            switch self {
            case .unreadable(let refusal): refusal.rawValue
            case .otherRoom: "otherRoom"
            case .otherDevice: "otherDevice"
            case .outdated: "outdated"
            case .tooManyWaiting: "tooManyWaiting"
            case .tooManyDevices: "tooManyDevices"
            case .tooManyMembers: "tooManyMembers"
            }
        }
    }

    private struct Delivery: Sendable {
        var key: NumberedMediaKey
        var devices: Set<DeviceAddress>
    }

    /// How finely time is looked at, milliseconds.
    private static let stepMilliseconds: UInt64 = 250
    /// Deliveries that may wait for ``run()``.
    private static let maximumDeliveries = 256

    package nonisolated let room: RoomID
    private let own: DeviceAddress
    private let messaging: any ToDeviceMessaging
    private let isJoined: @Sendable (UserID) -> Bool
    /// What the leg's sound goes through.
    package nonisolated let frames: SealedEchoFrames
    private let clock: ServiceClock
    private let logger: Logger
    private var distribution: MediaKeyDistribution<DeviceAddress>
    private var inbox = MediaKeyInbox<DeviceAddress>()
    private let deliveries: AsyncStream<Delivery>
    private let outbox: AsyncStream<Delivery>.Continuation
    package nonisolated let refusals: Tally<Refusal>

    /// The leg joins: its first key is used at once.
    ///
    /// - Parameter isJoined: whether a user is known to be in the room.
    package init(
        room: RoomID, own: DeviceAddress, messaging: any ToDeviceMessaging, frames: SealedEchoFrames,
        clock: ServiceClock, logger: Logger, refusals: Tally<Refusal> = Tally(),
        isJoined: @escaping @Sendable (UserID) -> Bool,
    ) {
        self.room = room
        self.own = own
        self.messaging = messaging
        self.isJoined = isJoined
        self.frames = frames
        self.clock = clock
        self.logger = logger
        self.refusals = refusals
        (deliveries, outbox) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.maximumDeliveries))
        distribution = MediaKeyDistribution(own: own, at: Self.milliseconds(clock)) {
            var generator = SystemRandomNumberGenerator()
            return OlmE2EE.MediaKey(using: &generator)
        }
        frames.use(distribution.current)
    }

    /// The members of the leg's call as they are now; after every change.
    package func update(members: [RosterMember]) {
        var devices: [DeviceAddress: UnixMilliseconds] = [:]
        var senders: [MediaKeyInbox<DeviceAddress>.Member] = []
        for member in members where member.membership.roomID == room {
            guard let sender = Self.sender(member), sender.device != own else { continue }
            devices[sender.device] = max(devices[sender.device] ?? .min, member.joinedAt)
            senders.append(sender)
        }
        let now = Self.milliseconds(clock)
        let before = (members: inbox.refusedMembers, devices: distribution.refusedDevices)
        perform(inbox.update(members: senders, at: now))
        perform(distribution.update(members: devices, at: now))
        let excess = [
            Refusal.tooManyMembers: inbox.refusedMembers - before.members,
            .tooManyDevices: distribution.refusedDevices - before.devices,
        ]
        for (refusal, count) in excess where count > 0 { refusals.count(refusal, times: UInt64(count)) }
    }

    /// Nil for a member without a device: there is nobody to give a key to, or to take one from.
    static func sender(_ member: RosterMember) -> MediaKeyInbox<DeviceAddress>.Member? {
        let membership = member.membership
        return membership.deviceID.map { device in
            .init(
                device: DeviceAddress(user: membership.sender, device: device),
                memberID: membership.generation == .sessionState ? nil : membership.memberID,
                identity: LiveKitNames.text(of: membership.liveKitIdentity))
        }
    }

    /// Takes a message that came to the leg's device.
    package func receive(_ message: ToDeviceMessage) {
        do throws(Refusal) {
            perform(try read(message))
        } catch {
            refusals.count(error)
        }
    }

    private func read(_ message: ToDeviceMessage) throws(Refusal) -> [MediaKeyInbox<DeviceAddress>.Action] {
        let content: CallKeyContent
        switch CallKeyContent.decode(type: message.type, content: .object(message.content)) {
        case .success(let decoded): content = decoded
        case .failure(let refusal): throw .unreadable(refusal)
        }
        guard content.roomID == room else { throw .otherRoom }
        guard content.claimedDeviceID ?? message.sender.device == message.sender.device else { throw .otherDevice }
        guard let key = try? OlmE2EE.MediaKey(bytes: content.key.bytes) else { throw .unreadable(.invalidKeyLength) }
        do {
            return try inbox.receive(
                NumberedMediaKey(index: content.key.index, key: key), from: message.sender,
                memberID: content.memberID, receivedAt: Self.milliseconds(clock),
                isStranger: !isJoined(message.sender.user))
        } catch {
            switch error {
            case .outdated: throw .outdated
            }
        }
    }

    /// The leg has left: ``run()`` returns.
    package nonisolated func close() {
        outbox.finish()
    }

    /// Sends keys and follows the time, until it is closed or the task is cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { [clock] in
                while (try? await clock.sleep(Self.stepMilliseconds)) != nil { await self.advance() }
            }
            for await delivery in deliveries {
                group.addTask { await self.deliver(delivery) }
            }
            group.cancelAll()
        }
    }

    private func advance() {
        let now = Self.milliseconds(clock)
        inbox.expire(at: now)
        perform(distribution.advance(to: now))
    }

    private func deliver(_ delivery: Delivery) async {
        let key: CallEvents.MediaKey
        do throws(EventRefusal) {
            key = try CallEvents.MediaKey(
                index: delivery.key.index, bytes: delivery.key.key.withBytes { Array($0) })
        } catch {
            logger.error("A media key cannot be written", metadata: ["error.code": "\(error)"])
            return
        }
        let content = CallKeyContent.deployedContent(
            roomID: room, memberID: LiveKitNames.plainIdentity(user: own.user, device: own.device), device: own.device,
            key: key, sentAt: clock.unixMilliseconds())
        let failures = await messaging.send(
            CallKeyContent.deployedEventType,
            Dictionary(uniqueKeysWithValues: delivery.devices.map { ($0, content) }))
        if let (device, failure) = failures.first {
            logger.info(
                "A media key did not reach every device; it is sent again",
                metadata: [
                    "matrix.room_id": "\(room)", "devices": "\(failures.count)", "device": "\(device)",
                    "reason": "\(failure)", "index": "\(key.index)",
                ])
        }
        report(delivery, missed: Set(failures.keys))
    }

    private func report(_ delivery: Delivery, missed: Set<DeviceAddress>) {
        perform(
            distribution.report(
                index: delivery.key.index, missed: missed, of: delivery.devices, at: Self.milliseconds(clock)))
    }

    private func perform(_ actions: [MediaKeyDistribution<DeviceAddress>.Action]) {
        for action in actions {
            switch action {
            case .use(let key): frames.use(key)
            case .send(let key, let devices):
                // One server that answers slowly must not delay the others: our key is used soon, come or not.
                for part in Dictionary(grouping: devices, by: \.user.serverName).values {
                    let delivery = Delivery(key: key, devices: Set(part))
                    if case .enqueued = outbox.yield(delivery) { continue }
                    report(delivery, missed: delivery.devices)
                }
            }
        }
    }

    private func perform(_ actions: [MediaKeyInbox<DeviceAddress>.Action]) {
        for action in actions {
            switch action {
            case .install(let key, let identity): frames.install(key, of: identity)
            case .forget(let identity): frames.forget(identity)
            case .displaced: refusals.count(.tooManyWaiting)
            }
        }
    }

    private static func milliseconds(_ clock: ServiceClock) -> UInt64 {
        clock.monotonic().nanoseconds / 1_000_000
    }
}
