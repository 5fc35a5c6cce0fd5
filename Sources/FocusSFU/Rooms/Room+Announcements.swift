// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What is told to whom.
extension Room {
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

    static func update(of participants: [Participant]) -> LiveKitParticipantUpdate {
        var update = LiveKitParticipantUpdate()
        update.participants = participants.map(\.info)
        return update
    }

    /// Tells that a participant is gone, or has gone out of sight.
    func tellDeparture(of participant: Participant, to audience: [Participant]) {
        var gone = participant.info
        gone.state = .disconnected
        gone.tracks = []
        departures.add(gone, at: plane.now)
        var update = LiveKitParticipantUpdate()
        update.participants = [gone]
        tell(audience, .update(update))
    }

    /// A participant has gone out of sight, or come into it.
    func visibilityChanged(of participant: Participant) {
        if participant.isHidden {
            changed.removeAll { $0 === participant }
            participant.hasUnannouncedChange = false
            participant.bumpVersion()
            tellDeparture(of: participant, to: order.filter { $0 !== participant })
            for track in participant.publications.tracks {
                for downTrack in track.downTracks { downTrack.subscriber.unsubscribe(from: track) }
            }
        } else {
            departures.returned(participant.identity)
            offer(participant.publications.tracks, of: participant)
        }
        roomChanged()
    }

    /// The whole picture for a client that comes back: who has gone meanwhile, who is there, itself.
    ///
    /// One message: clients take the first one after a resume for all there is.
    func tellEverything(to participant: Participant) {
        var update = LiveKitParticipantUpdate()
        update.participants = departures.infos(since: participant.signalLostAt ?? plane.now)
        update.participants += others(of: participant) + [participant.info]
        participant.send(.update(update))
        var roomUpdate = LiveKitRoomUpdate()
        roomUpdate.room = info
        participant.send(.roomUpdate(roomUpdate))
    }

    /// Sends one message to many.
    func tell(_ audience: [Participant], _ message: LiveKitSignalResponse.OneOf_Message) {
        let broadcast = SignalBroadcast(message)
        for participant in audience { participant.signal?.send(broadcast) }
    }

    /// Counters of the room changed; everybody hears of it soon, but not of every step of a crowd.
    func roomChanged() {
        hasRoomNews = true
    }

    /// Takes what is wished for, and tells everybody if that changes anything.
    func change(_ wishes: RoomSettings.Wishes) {
        let new = settings.applying(wishes)
        guard new != settings else { return }
        settings = new
        broadcastRoom()
    }

    func broadcastRoom() {
        hasRoomNews = false
        nextRoomUpdate = plane.now.advanced(byMilliseconds: 1_000)
        var update = LiveKitRoomUpdate()
        update.room = info
        tell(order, .roomUpdate(update))
    }

    /// Everybody a participant may see, for a join or a resume.
    func others(of participant: Participant) -> [LiveKitParticipantInfo] {
        order.filter { $0 !== participant && !$0.isHidden }.map(\.info)
    }
}
