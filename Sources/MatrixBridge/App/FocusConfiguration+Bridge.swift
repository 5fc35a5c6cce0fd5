// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Foundation

extension FocusConfiguration {
    /// The focus's part of the configuration.
    init(_ configuration: BridgeConfiguration, keys: APIKeySet) {
        self.init(keys: keys)
        let server = configuration.server
        mediaPort = configuration.rtc.udpPort
        workerCount = configuration.rtc.workerCount
        processorCount = Self.availableProcessors
        // `bind_addresses` is for HTTP, which may hide behind a proxy; media has to be reached from outside. Only the
        // loopback focus of a developer stays on loopback.
        mediaBindAddress = configuration.isDevelopment ? server.bindAddresses.first ?? "::" : "::"
        advertisedAddresses = configuration.rtc.nodeAddresses
        interfaceAddresses =
            configuration.rtc.advertisesInterfaces ? .all : configuration.rtc.asksForExternalAddress ? .ipv6 : .none
        offersLoopback = configuration.rtc.enablesLoopbackCandidate || configuration.isDevelopment
        // With a homeserver the token exchange creates rooms, and only for those who may.
        createsRoomsOnJoin = configuration.room.createsAutomatically && configuration.matrix == nil
        emptyTimeoutSeconds = UInt32(clamping: configuration.room.emptyTimeout.components.seconds)
        departureTimeoutSeconds = UInt32(clamping: configuration.room.departureTimeout.components.seconds)
        maximumParticipants = UInt32(clamping: configuration.room.maxParticipants)
        allowsRemoteUnmute = configuration.room.allowsRemoteUnmute
        let throttle = configuration.rtc.keyFrameThrottle
        keyFrameIntervals = [throttle.low, throttle.middle, throttle.high].map { interval in
            UInt64(max(0, interval.components.seconds * 1000 + interval.components.attoseconds / 1_000_000_000_000_000))
        }
        enabledCodecs = Set(
            configuration.room.enabledCodecs.compactMap { codec in
                codec.mime.split(separator: "/").last.flatMap { CodecName(encodingName: $0) }
            })
        videoBufferPackets = configuration.rtc.videoBufferPackets
        audioBufferPackets = configuration.rtc.audioBufferPackets
        let audio = configuration.audio
        speakerThresholds.activeAttenuation = UInt8(clamping: audio.activeLevel)
        speakerThresholds.activePercent = UInt64(clamping: audio.minPercentile)
        speakerThresholds.windowMilliseconds = UInt64(
            clamping: audio.updateInterval.components.seconds * 1000
                + audio.updateInterval.components.attoseconds / 1_000_000_000_000_000)
        speakerThresholds.smoothedWindows = Float(max(1, audio.smoothIntervals))
        limits.rooms = configuration.limit.rooms
        limits.participantsPerRoom = configuration.limit.participants
        limits.tracksPerParticipant = configuration.limit.tracksPerParticipant
        limits.roomNameLength = configuration.limit.roomNameBytes
        limits.identityLength = configuration.limit.participantIdentityBytes
        limits.nameLength = configuration.limit.participantNameBytes
        limits.metadataBytes = configuration.limit.metadataBytes
        limits.attributesBytes = configuration.limit.attributesBytes
        limits.pendingHandshakes = configuration.limit.pendingHandshakes
    }
}

extension BridgeConfiguration {
    /// Path prefixes of the public URLs, below which everything is served as well: a proxy may or may not strip them.
    var publicPrefixes: [String] {
        guard let matrix else { return [] }
        let paths = [matrix.pathPrefix, Self.path(of: matrix.livekitServiceURL), Self.path(of: matrix.websocketURL)]
        return Array(Set(paths.filter { !$0.isEmpty })).sorted()
    }

    private static func path(of url: String) -> String {
        guard let scheme = url.range(of: "://") else { return "" }
        let rest = url[scheme.upperBound...]
        guard let slash = rest.firstIndex(of: "/") else { return "" }
        let path = rest[slash...].prefix { $0 != "?" && $0 != "#" }
        return String(path.hasSuffix("/") ? path.dropLast() : path)
    }
}
