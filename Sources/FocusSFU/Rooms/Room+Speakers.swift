// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Who speaks, told to those who hear it.
extension Room {
    /// Those who receive any track of a participant, and itself.
    private func audience(of speaker: Participant) -> [Participant] {
        var found = [speaker]
        var known = Set([ObjectIdentifier(speaker)])
        for track in speaker.publications.tracks {
            for downTrack in track.downTracks where known.insert(ObjectIdentifier(downTrack.subscriber)).inserted {
                found.append(downTrack.subscriber)
            }
        }
        return found
    }

    /// Tells of ``speakerChanges``.
    func announceSpeakers() {
        var speakers: [LiveKitSpeakerInfo] = []
        var heard: [ObjectIdentifier: [Int]] = [:]
        for change in speakerChanges {
            guard let speaker = speakerOwners[change.participant], !speaker.isHidden else { continue }
            for listener in audience(of: speaker) {
                heard[ObjectIdentifier(listener), default: []].append(speakers.count)
            }
            speakers.append(Self.speakerInfo(speaker, level: change.level))
        }
        // In most rooms everybody hears everybody: they share one message.
        var hearingAll: [Participant] = []
        for participant in order where participant.isActive {
            guard let indexes = heard[ObjectIdentifier(participant)] else { continue }
            if indexes.count == speakers.count {
                hearingAll.append(participant)
            } else {
                participant.send(Self.speakersChanged(indexes.map { speakers[$0] }))
            }
        }
        tell(hearingAll, Self.speakersChanged(speakers))
    }

    /// Tells one that begins or ceases to hear a participant, if that one speaks now.
    func tellSpeech(of speaker: Participant, to listener: Participant, isHeard: Bool) {
        guard !speaker.isHidden, let now = speakers.pointee.speaker(speaker.speakerNumber) else { return }
        listener.send(Self.speakersChanged([Self.speakerInfo(speaker, level: isHeard ? now.level : 0)]))
    }

    /// Lets a participant appear to speak, or to be silent at level 0: what test suites of clients ask for.
    func simulateSpeech(of speaker: Participant, level: Float) {
        tell(audience(of: speaker), Self.speakersChanged([Self.speakerInfo(speaker, level: level)]))
    }

    private static func speakerInfo(_ speaker: Participant, level: Float) -> LiveKitSpeakerInfo {
        var info = LiveKitSpeakerInfo()
        info.sid = speaker.sid
        info.level = level
        info.active = level > 0
        return info
    }

    private static func speakersChanged(_ speakers: [LiveKitSpeakerInfo]) -> LiveKitSignalResponse.OneOf_Message {
        var update = LiveKitSpeakersChanged()
        update.speakers = speakers
        return .speakersChanged(update)
    }
}
