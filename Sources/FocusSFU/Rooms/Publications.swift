// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a participant publishes: tracks announced by AddTrack, and the SDP sections they are carried in.
///
/// The two arrive in either order. A track is published once both are there: `cid` of the request equals the track id
/// of the section's msid. Some clients name the section otherwise: it then carries the first waiting track of its kind
/// that no section names.
struct Publications {
    /// Announced, not yet seen in an offer; in order of arrival.
    private(set) var pending: [PublishedTrack] = []
    /// Published, in order of publication.
    private(set) var tracks: [PublishedTrack] = []
    /// Sections of the last offer in which the client sends, by mid.
    private(set) var sections: [String: NegotiatedSection] = [:]
    var restriction = SubscriberRestriction()
    /// Requests for a client id that is in use, in order of arrival.
    private var queued: [LiveKitAddTrackRequest] = []
    static let queuedLimit = 3

    func track(sid: String) -> PublishedTrack? {
        tracks.first { $0.sid == sid } ?? pending.first { $0.sid == sid }
    }

    func track(mid: String) -> PublishedTrack? {
        tracks.first { $0.mid == mid }
    }

    func knows(cid: String) -> Bool {
        pending.contains { $0.cid == cid } || tracks.contains { $0.cid == cid }
    }

    /// The waiting track of a client id.
    func waiting(cid: String, isVideo: Bool) -> PublishedTrack? {
        cid.isEmpty ? nil : pending.first { $0.cid == cid && $0.isVideo == isVideo }
    }

    /// The waiting track for a section that names none of them.
    func waiting(isVideo: Bool, notIn named: Set<String>) -> PublishedTrack? {
        pending.first { $0.isVideo == isVideo && !named.contains($0.cid) }
    }

    mutating func announce(_ track: PublishedTrack) {
        pending.append(track)
    }

    /// Keeps a request until the track that has its client id is gone; false when that many wait already.
    mutating func queue(_ request: LiveKitAddTrackRequest, limit: Int) -> Bool {
        guard queued.count < limit, queued.count(where: { $0.cid == request.cid }) < Self.queuedLimit else {
            return false
        }
        queued.append(request)
        return true
    }

    mutating func nextRequest(cid: String) -> LiveKitAddTrackRequest? {
        queued.firstIndex { $0.cid == cid }.map { queued.remove(at: $0) }
    }

    mutating func remove(_ track: PublishedTrack) {
        tracks.removeAll { $0 === track }
        pending.removeAll { $0 === track }
    }

    /// Remembers which sections the client sends in; returns the tracks whose section is gone.
    mutating func negotiated(_ negotiated: [NegotiatedSection]) -> [PublishedTrack] {
        sections.removeAll()
        for section in negotiated where section.takesMedia { sections[section.mid] = section }
        return tracks.filter { track in
            guard let mid = track.mid else { return false }
            guard let section = sections[mid] else { return true }
            // A section taken over by another track ends the first one.
            guard let cid = section.remoteMSID?.track, !cid.isEmpty else { return false }
            return cid != track.cid && pending.contains { $0.cid == cid }
        }
    }

    /// Binds waiting tracks to sections; returns those that are published from now on.
    mutating func bind() -> [PublishedTrack] {
        var published: [PublishedTrack] = []
        let named = Set(sections.values.compactMap(\.remoteMSID?.track))
        for section in sections.values.sorted(by: { $0.index < $1.index }) where track(mid: section.mid) == nil {
            let isVideo = section.kind == .video
            // A camera announced as a microphone stays unpublished.
            guard
                let track = waiting(cid: section.remoteMSID?.track ?? "", isVideo: isVideo)
                    ?? waiting(isVideo: isVideo, notIn: named)
            else { continue }
            publish(track, in: section)
            published.append(track)
        }
        return published
    }

    /// Puts a track into the section that carries it.
    mutating func publish(_ track: PublishedTrack, in section: NegotiatedSection) {
        track.mid = section.mid
        track.codec = section.codecs.first
        track.hasDependencyDescriptor = section.extensions.dependencyDescriptor != 0
        track.info.mid = section.mid
        if let codec = track.codec {
            track.info.mimeType = codec.name.mimeType
            if track.info.codecs.isEmpty { track.info.codecs = [LiveKitSimulcastCodecInfo()] }
            track.info.codecs[0].mimeType = codec.name.mimeType
            track.info.codecs[0].mid = section.mid
            track.info.codecs[0].cid = track.cid
            if let sdpCid = section.remoteMSID?.track, sdpCid != track.cid {
                track.info.codecs[0].sdpCid = sdpCid
            }
        }
        pending.removeAll { $0 === track }
        tracks.append(track)
    }
}
