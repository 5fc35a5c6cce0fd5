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
    var settings: RoomSettings
    var metadata: String

    private(set) var participants: [String: Participant] = [:]
    /// Arrival order, in which joiners are told of those present.
    private(set) var order: [Participant] = []
    private var speakerNumbers = FreeNumbers()
    let speakers: UnsafeMutablePointer<ActiveSpeakers>
    private var speakerOwners: [Int: Participant] = [:]
    private var speakerChanges: [ActiveSpeakers.Change] = []
    /// Participants of whose latest change the others have not heard yet, in the order of their first change.
    private var changed: [Participant] = []
    private var lastStamp: Int64 = 0
    private var hasRoomNews = false
    private var nextRoomUpdate = MonotonicTime.zero
    private var nextQualityUpdate: MonotonicTime
    private var nextLayerSelection: MonotonicTime
    private var emptySince: MonotonicTime?
    private var wasJoined = false

    init(
        name: String, settings: RoomSettings, plane: MediaPlane, log: Logger, unixMilliseconds: Int64
    ) {
        self.name = name
        self.settings = settings
        self.metadata = settings.metadata
        self.plane = plane
        self.log = log
        createdAtMilliseconds = unixMilliseconds
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
        info.metadata = metadata
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

    var isFull: Bool {
        let limit = settings.maximumParticipants
        return order.count >= plane.configuration.limits.participantsPerRoom || limit > 0 && order.count >= Int(limit)
    }

    /// True once the room has been empty for as long as its settings allow.
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

    /// A stamp later than all before, for ordering updates of a track.
    func nextVersionStamp() -> LiveKitTimedVersion {
        var stamp = LiveKitTimedVersion()
        lastStamp = max(lastStamp + 1, Int64(plane.now.nanoseconds / 1000))
        stamp.unixMicro = lastStamp
        return stamp
    }

    // MARK: Coming and going

    func add(_ participant: Participant) {
        participants[participant.identity] = participant
        order.append(participant)
        emptySince = nil
        wasJoined = true
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
        for track in participant.publications.tracks { end(track) }
        for downTrack in participant.subscriptions.downTracks { downTrack.detach() }
        participant.publisher.close()
        participant.subscriber?.close()
        speakers.pointee.participantLeft(participant.speakerNumber)
        speakerOwners[participant.speakerNumber] = nil
        speakerNumbers.give(participant.speakerNumber)

        participant.state = .disconnected
        participant.disconnectReason = reason
        participant.bumpVersion()
        log.info(
            "participant left",
            metadata: ["participant": .string(participant.sid), "reason": .string("\(reason)")])
        if !participant.isHidden {
            var gone = participant.info
            gone.tracks = []
            // Newer clients tell sessions of one identity apart by themselves; a late farewell would hit the new one.
            var update = LiveKitParticipantUpdate()
            update.participants = [gone]
            tell(order.filter { !isReplaced || $0.client.protocol <= 11 }, .update(update))
        }
        roomChanged()
        if order.isEmpty { emptySince = plane.now }
    }

    /// Tells others of a change of this participant, with the next ``announceChanges()``; itself at once when
    /// `includesSelf`.
    func participantChanged(_ participant: Participant, includesSelf: Bool = true) {
        participant.bumpVersion()
        if includesSelf { participant.send(.update(Self.update(of: [participant]))) }
        guard !participant.isHidden, !participant.hasUnannouncedChange else { return }
        participant.hasUnannouncedChange = true
        if changed.isEmpty { plane.roomsWithChanges.append(self) }
        changed.append(participant)
    }

    /// Tells everybody of the participants that have changed: of a crowd that comes at once in one message.
    ///
    /// The worker calls it before it sleeps, and whoever sends a description calls it first: clients must know a
    /// participant before they are given its tracks.
    func announceChanges() {
        guard !changed.isEmpty else { return }
        let news = changed
        changed = []
        let unchanged = order.filter { !$0.hasUnannouncedChange }
        for participant in news { participant.hasUnannouncedChange = false }
        tell(unchanged, .update(Self.update(of: news)))
        for participant in news where news.count > 1 {
            participant.send(.update(Self.update(of: news.filter { $0 !== participant })))
        }
    }

    private static func update(of participants: [Participant]) -> LiveKitParticipantUpdate {
        var update = LiveKitParticipantUpdate()
        update.participants = participants.map(\.info)
        return update
    }

    /// Sends one message to many.
    private func tell(_ audience: [Participant], _ message: LiveKitSignalResponse.OneOf_Message) {
        let broadcast = SignalBroadcast(message)
        for participant in audience { participant.signal?.send(broadcast) }
    }

    /// Counters of the room changed; everybody hears of it soon, but not of every step of a crowd.
    func roomChanged() {
        hasRoomNews = true
    }

    private static let roomUpdateMilliseconds: UInt64 = 1_000

    func broadcastRoom() {
        hasRoomNews = false
        nextRoomUpdate = plane.now.advanced(byMilliseconds: Self.roomUpdateMilliseconds)
        var update = LiveKitRoomUpdate()
        update.room = info
        tell(order, .roomUpdate(update))
    }

    /// Everybody a participant may see, for a join or a resume.
    func others(of participant: Participant) -> [LiveKitParticipantInfo] {
        order.filter { $0 !== participant && !$0.isHidden }.map(\.info)
    }

    // MARK: Tracks

    func tracksPublished(_ tracks: [PublishedTrack], by publisher: Participant) {
        for track in tracks where !track.isVideo {
            track.route.pointee.speakers = speakers
            track.route.pointee.speakerNumber = publisher.speakerNumber
        }
        participantChanged(publisher)
        roomChanged()
        for subscriber in order where subscriber !== publisher && subscriber.autoSubscribe {
            for track in tracks { subscriber.subscribe(to: track) }
        }
    }

    /// The publisher went on with another codec: subscribers get new sections for it.
    func codecChanged(of track: PublishedTrack) {
        if let codec = track.codec {
            track.info.mimeType = codec.name.mimeType
            if !track.info.codecs.isEmpty { track.info.codecs[0].mimeType = codec.name.mimeType }
        }
        track.info.version = nextVersionStamp()
        participantChanged(track.publisher)
        for subscriber in track.downTracks.map(\.subscriber) {
            subscriber.unsubscribe(from: track)
            subscriber.subscribe(to: track)
        }
    }

    func publicationChanged(of publisher: Participant) {
        participantChanged(publisher)
    }

    /// Ends one track and tells the others.
    func unpublish(_ track: PublishedTrack) {
        end(track)
        track.publisher.publications.remove(track)
        participantChanged(track.publisher)
        roomChanged()
    }

    private func end(_ track: PublishedTrack) {
        for downTrack in track.downTracks { downTrack.subscriber.unsubscribe(from: track) }
        track.publisher.publisher.removeStreams(of: track)
    }

    /// Subscribes to all that is there, unless the client chooses by itself.
    func subscribeToAll(_ subscriber: Participant) {
        guard subscriber.autoSubscribe else { return }
        for publisher in order where publisher !== subscriber && !publisher.isHidden {
            for track in publisher.publications.tracks where !subscriber.subscriptions.declined.contains(track.sid) {
                subscriber.subscribe(to: track)
            }
        }
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

    private func announceSpeakers() {
        var update = LiveKitSpeakersChanged()
        for change in speakerChanges {
            guard let speaker = speakerOwners[change.participant], !speaker.isHidden else { continue }
            var info = LiveKitSpeakerInfo()
            info.sid = speaker.sid
            info.level = change.level
            info.active = change.isActive
            update.speakers.append(info)
        }
        guard !update.speakers.isEmpty else { return }
        tell(order.filter(\.isActive), .speakersChanged(update))
    }

    private func announceQuality() {
        var entries: [LiveKitConnectionQualityInfo] = []
        var changed = false
        for participant in order where participant.isActive {
            let before = participant.quality.current
            participant.quality.evaluate(participant)
            changed = changed || participant.quality.current != before
            var info = LiveKitConnectionQualityInfo()
            info.participantSid = participant.sid
            info.quality = participant.quality.current
            info.score = participant.quality.score
            entries.append(info)
        }
        guard changed else { return }
        for participant in order where participant.isActive {
            let seen = Set(participant.subscriptions.downTracks.map(\.track.publisher.sid)).union([participant.sid])
            var update = LiveKitConnectionQualityUpdate()
            update.updates = entries.filter { seen.contains($0.participantSid) }
            participant.send(.connectionQuality(update))
        }
    }
}

/// What a room was created with.
package struct RoomSettings: Sendable {
    package var emptyTimeoutSeconds: UInt32
    package var departureTimeoutSeconds: UInt32
    package var maximumParticipants: UInt32
    package var metadata = ""

    package init(emptyTimeoutSeconds: UInt32, departureTimeoutSeconds: UInt32, maximumParticipants: UInt32) {
        self.emptyTimeoutSeconds = emptyTimeoutSeconds
        self.departureTimeoutSeconds = departureTimeoutSeconds
        self.maximumParticipants = maximumParticipants
    }
}

/// Small numbers that are given back and used again.
struct FreeNumbers {
    private var returned: [Int] = []
    private var next = 0

    mutating func take() -> Int {
        if let number = returned.popLast() { return number }
        defer { next += 1 }
        return next
    }

    mutating func give(_ number: Int) {
        returned.append(number)
    }
}
