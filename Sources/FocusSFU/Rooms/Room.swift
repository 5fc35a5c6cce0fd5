// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Logging

/// One room: its participants, their tracks, and who is told what. Lives on one worker.
final class Room {
    let name: String
    let sid = SID.make("RM_")
    /// Random bytes that mark frames made by the server, by which encrypted receivers know them.
    let serverInjectedFrameTrailer = Random.bytes(16)
    unowned let plane: MediaPlane
    let log: Logger
    let createdAtMilliseconds: Int64
    private let createdAt: MonotonicTime
    var settings: RoomSettings

    private(set) var participants: [String: Participant] = [:]
    /// Arrival order, in which joiners are told of those present.
    private(set) var order: [Participant] = []
    private var speakerNumbers = FreeNumbers()
    let speakers: UnsafeMutablePointer<ActiveSpeakers>
    private(set) var speakerOwners: [Int: Participant] = [:]
    var speakerChanges: [ActiveSpeakers.Change] = []
    /// Participants of whose latest change the others have not heard yet, in the order of their first change.
    var changed: [Participant] = []
    var departures = Departures()
    var nonces = RecentNonces()
    private var lastStamp: Int64 = 0
    var hasRoomNews = false
    var nextRoomUpdate = MonotonicTime.zero
    private var nextQualityUpdate: MonotonicTime
    private var nextLayerSelection: MonotonicTime
    private var emptySince: MonotonicTime?
    private var wasJoined = false

    init(
        name: String, settings: RoomSettings, plane: MediaPlane, log: Logger, unixMilliseconds: Int64
    ) {
        self.name = name
        self.settings = settings
        self.plane = plane
        self.log = log
        createdAtMilliseconds = unixMilliseconds
        createdAt = plane.now
        nextQualityUpdate = plane.now.advanced(byMilliseconds: ConnectionQualityMeter.intervalMilliseconds)
        nextLayerSelection = plane.now
        emptySince = plane.now
        speakers = .allocate(capacity: 1)
        speakers.initialize(to: ActiveSpeakers(thresholds: plane.configuration.speakerThresholds, at: plane.now))
    }

    deinit {
        speakers.deinitialize(count: 1)
        speakers.deallocate()
    }

    var info: LiveKitRoom {
        var info = LiveKitRoom()
        info.sid = sid
        info.name = name
        info.metadata = settings.metadata
        info.emptyTimeout = settings.emptyTimeoutSeconds
        info.departureTimeout = settings.departureTimeoutSeconds
        info.maxParticipants = settings.maximumParticipants
        info.creationTime = createdAtMilliseconds / 1000
        info.creationTimeMs = createdAtMilliseconds
        let visible = order.filter { !$0.isHidden }
        info.numParticipants = UInt32(visible.count)
        info.numPublishers = UInt32(visible.count { !$0.publications.tracks.isEmpty })
        info.activeRecording = order.contains { $0.permission.recorder }
        info.enabledCodecs = enabledCodecs
        return info
    }

    /// What may be published, as clients are told.
    var enabledCodecs: [LiveKitCodec] {
        [CodecName.vp8, .h264, .vp9, .av1, .opus].filter(plane.configuration.enabledCodecs.contains).map { name in
            var codec = LiveKitCodec()
            codec.mime = name.mimeType
            return codec
        }
    }

    /// The video codec that a client asks for, else the first one that may be published.
    func publishableVideoCodec(named name: String) -> CodecName? {
        let enabled = [CodecName.vp8, .h264, .vp9, .av1].filter(plane.configuration.enabledCodecs.contains)
        return CodecName(encodingName: name).flatMap { enabled.contains($0) ? $0 : nil } ?? enabled.first
    }

    var isFull: Bool {
        let limit = settings.maximumParticipants
        return order.count >= plane.configuration.limits.participantsPerRoom || limit > 0 && order.count >= Int(limit)
    }

    /// True once nobody for whom the room is kept has been in it for as long as its settings allow.
    func hasExpired(at now: MonotonicTime) -> Bool {
        guard let emptySince else { return false }
        let seconds = wasJoined ? settings.departureTimeoutSeconds : settings.emptyTimeoutSeconds
        return now.milliseconds(since: emptySince) >= UInt64(seconds) * 1000
    }

    func track(sid: String) -> PublishedTrack? {
        for participant in order {
            if let track = participant.publications.track(sid: sid), track.isPublished { return track }
        }
        return nil
    }

    func participant(sid: String) -> Participant? {
        order.first { $0.sid == sid }
    }

    /// A stamp later than all before, for ordering updates of a track: the wall clock as it was when the room was made,
    /// and the time since.
    func nextVersionStamp() -> LiveKitTimedVersion {
        var stamp = LiveKitTimedVersion()
        let microseconds = createdAtMilliseconds * 1000 + Int64(plane.now.nanoseconds(since: createdAt) / 1000)
        lastStamp = max(lastStamp + 1, microseconds)
        stamp.unixMicro = lastStamp
        return stamp
    }

    // MARK: Coming and going

    func add(_ participant: Participant) {
        participants[participant.identity] = participant
        order.append(participant)
        departures.returned(participant.identity)
        if !participant.isDependent {
            emptySince = nil
            wasJoined = true
        }
        let number = speakerNumbers.take()
        participant.speakerNumber = number
        speakerOwners[number] = participant
        speakers.pointee.participantJoined(number)
    }

    /// Ends a session: its client is told, its tracks end, the others learn that it is gone.
    ///
    /// - Parameter action: nil when the client left by itself, or its socket is gone: nothing is sent to it.
    func remove(
        _ participant: Participant, reason: LiveKitDisconnectReason, action: LiveKitLeaveRequest.Action?,
        isReplaced: Bool = false
    ) {
        guard participants[participant.identity] === participant else { return }
        participants[participant.identity] = nil
        order.removeAll { $0 === participant }
        changed.removeAll { $0 === participant }
        if let action { participant.leave(reason: reason, action: action) }
        participant.signal?.close(reason: "left")
        participant.signal = nil
        // First: nobody needs to hear that one who is gone does not speak.
        speakers.pointee.participantLeft(participant.speakerNumber)
        speakerOwners[participant.speakerNumber] = nil
        speakerNumbers.give(participant.speakerNumber)
        for track in participant.publications.tracks { end(track) }
        for downTrack in participant.subscriptions.downTracks { downTrack.detach() }
        participant.publisher.close()
        participant.subscriber?.close()

        participant.state = .disconnected
        participant.disconnectReason = reason
        participant.bumpVersion()
        log.info(
            "participant left",
            metadata: ["participant": .string(participant.sid), "reason": .string("\(reason)")])
        if !participant.isHidden {
            // Newer clients tell sessions of one identity apart by themselves; a late farewell would hit the new one.
            tellDeparture(of: participant, to: order.filter { !isReplaced || $0.client.protocol <= 11 })
        }
        roomChanged()
        if emptySince == nil, order.allSatisfy(\.isDependent) { emptySince = plane.now }
    }

    // MARK: Time

    func advance(to now: MonotonicTime) {
        announceChanges()
        for participant in order { participant.advance(to: now) }
        if now >= nextLayerSelection {
            nextLayerSelection = now.advanced(byMilliseconds: 100)
            for participant in order { participant.selectLayers(at: now) }
        }
        if hasRoomNews, now >= nextRoomUpdate { broadcastRoom() }
        speakerChanges.removeAll(keepingCapacity: true)
        speakers.pointee.advance(to: now, changes: &speakerChanges)
        if !speakerChanges.isEmpty { announceSpeakers() }
        if now >= nextQualityUpdate {
            nextQualityUpdate = now.advanced(byMilliseconds: ConnectionQualityMeter.intervalMilliseconds)
            announceQuality()
        }
    }
}
