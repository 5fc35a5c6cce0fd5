// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
package import Logging
import NIOConcurrencyHelpers
package import OlmE2EE

/// The media keys of all legs in encrypted calls: one exchange for each room, and the messages to the device that they
/// share.
package final class MediaKeyDesk: Sendable {
    private let messaging: any ToDeviceMessaging
    private let facts: RoomFactsBook
    private let findDevice: @Sendable () async -> DeviceAddress?
    private let clock: ServiceClock
    private let logger: Logger
    private let exchanges = NIOLockedValueBox<[RoomID: MediaKeyExchange]>([:])
    /// Messages without effect.
    package let refusals = Tally<MediaKeyExchange.Refusal>()
    /// Frames that went no further, by ``FrameRefusal/name``.
    package let frameRefusals = Tally<String>()

    /// - Parameter device: what legs in encrypted calls are; nil while there is none.
    package init(
        messaging: any ToDeviceMessaging, facts: RoomFactsBook,
        device: @escaping @Sendable () async -> DeviceAddress?, clock: ServiceClock, logger: Logger,
    ) {
        self.messaging = messaging
        self.facts = facts
        self.findDevice = device
        self.clock = clock
        self.logger = logger
    }

    /// The device for a leg in an encrypted call; nil while there is none.
    package func device() async -> DeviceAddress? { await findDevice() }

    /// A leg joins the call of a room.
    package func open(_ room: RoomID, as own: DeviceAddress) -> MediaKeyExchange {
        let exchange = MediaKeyExchange(
            room: room, own: own, messaging: messaging, frames: SealedEchoFrames(refusals: frameRefusals), clock: clock,
            logger: logger, refusals: refusals, isJoined: { [facts] in facts.isJoined($0, to: room) })
        exchanges.withLockedValue { $0.updateValue(exchange, forKey: room) }?.close()
        return exchange
    }

    /// The leg has left.
    package func close(_ exchange: MediaKeyExchange) {
        exchange.close()
        exchanges.withLockedValue { exchanges in
            if exchanges[exchange.room] === exchange { exchanges[exchange.room] = nil }
        }
    }

    /// Gives each message to the leg of its room, until the task is cancelled.
    package func run() async {
        let types = CallKeyContent.settledEventTypes.union([CallKeyContent.deployedEventType])
        for await message in await messaging.messages(ofTypes: types) {
            let room = message.content["room_id"]?.string.flatMap(RoomID.init)
            guard let exchange = room.flatMap({ room in exchanges.withLockedValue { $0[room] } }) else {
                refusals.count(.otherRoom)
                continue
            }
            await exchange.receive(message)
        }
    }
}
