// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CDatagramIO

/// Everything the focus is told at start. Plain values; reading files and environments is the caller's work.
package struct FocusConfiguration: Sendable {
    /// HTTP and WebSocket: addresses to listen on, and the port (0: any free one).
    package var bindAddresses: [String] = ["::"]
    package var signalPort = 7880
    /// Where Prometheus text is served, on the same addresses; nil: nowhere.
    package var metricsPort: Int?

    /// UDP: the first media worker's port, each further worker takes the next one.
    package var mediaPort = 7882
    package var mediaBindAddress = "::"
    package var workerCount = 1
    /// Processors to be used. Those without a media worker help the others with large rooms.
    package var processorCount = 1
    /// Addresses offered in candidates; empty: those of this machine's interfaces.
    package var advertisedAddresses: [String] = []
    /// Which of the interfaces' addresses are offered beside ``advertisedAddresses``, after them.
    package var interfaceAddresses = InterfaceAddresses.none
    package var offersLoopback = false

    package enum InterfaceAddresses: Sendable {
        case none
        /// Nobody translates these.
        case ipv6
        case all
    }

    package var keys: APIKeySet

    package var createsRoomsOnJoin = true
    package var emptyTimeoutSeconds: UInt32 = 300
    package var departureTimeoutSeconds: UInt32 = 20
    /// Participants a room; 0: as many as ``FocusLimits`` allow.
    package var maximumParticipants: UInt32 = 0
    package var allowsRemoteUnmute = false
    /// Least time between two key frame requests, by layer, lowest first.
    package var keyFrameIntervals: [UInt64] = [500, 500, 500]
    /// What may be published.
    package var enabledCodecs = Set(CodecName.allCases)
    /// Packets kept of each stream to answer retransmission requests; rounded up to a power of two.
    package var videoBufferPackets = 512
    package var audioBufferPackets = 256
    /// Who counts as speaking.
    package var speakerThresholds = ActiveSpeakers.Thresholds()
    package var limits = FocusLimits()

    /// Processors that this process may run on, as `taskset` and container limits on cores have it.
    package static var availableProcessors: Int { Int(CDatagramIO_processor_count()) }

    package init(keys: APIKeySet) {
        self.keys = keys
    }

    func keyFrameIntervalMilliseconds(ofLayer layer: Int8) -> UInt64 {
        keyFrameIntervals[min(max(0, Int(layer)), keyFrameIntervals.count - 1)]
    }
}

/// Every bound of the focus in one place. Reaching one is a refusal with a reason, never growth.
package struct FocusLimits: Sendable {
    package var rooms = 10_000
    package var participantsPerRoom = 1_000
    package var tracksPerParticipant = 32
    package var pendingTracksPerParticipant = 20
    /// What a participant receives at once.
    package struct Reception: Sendable {
        package var tracks: Int
        /// Of them video, so that sound finds a place.
        package var videos: Int
    }

    /// Each track has a section of the description, which has ``SDPParser/Limit/sections`` at most, and vacated ones
    /// stay for a while.
    package var reception = Reception(tracks: 448, videos: 336)
    /// Here the client writes the sections, each with all that it can do: 4 to 5 KiB a video.
    package var receptionByOneConnection = Reception(tracks: 160, videos: 120)
    /// Streams (SSRCs) one transport may send: layers and their retransmission streams count.
    package var streamsPerTransport = 64
    package var roomNameLength = 256
    package var identityLength = 256
    package var nameLength = 256
    package var metadataBytes = 512 * 1024
    package var attributesBytes = 64 * 1024
    /// Transports whose handshake is not done, a worker.
    package var pendingHandshakes = 2_000
    /// Reliable data kept for a participant whose channel is not open yet.
    package var pendingDataBytes = 100 * 1024
    /// Signal messages a participant may have waiting for its worker.
    package var pendingSignalMessages = 512
    /// Bytes of these, where there is more than one.
    package var pendingSignalBytes = 1024 * 1024

    package init() {}
}

/// One entry of the ICE server list that clients receive.
package struct ICEServerEntry: Sendable, Equatable {
    package var urls: [String]
    package var username: String
    package var credential: String

    package init(urls: [String], username: String = "", credential: String = "") {
        self.urls = urls
        self.username = username
        self.credential = credential
    }
}

/// Supplies the ICE servers of a join; the TURN credentials in it are made for this participant.
package protocol ICEServerProviding: Sendable {
    func iceServers(forIdentity identity: String, unixSeconds: Int64) -> [ICEServerEntry]
}
