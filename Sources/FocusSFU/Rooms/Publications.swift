// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a participant publishes: tracks announced by AddTrack, and the SDP sections they are carried in.
///
/// The two arrive in either order. A track is published once both are there: `cid` of the request equals the track id
/// of the section's msid, or, where the client names none, the first waiting track of the same kind.
struct Publications {
    /// Announced, not yet seen in an offer; in order of arrival.
    private(set) var pending: [PublishedTrack] = []
    /// Published, in order of publication.
    private(set) var tracks: [PublishedTrack] = []
    /// Sections of the last offer in which the client sends, by mid.
    private(set) var sections: [String: NegotiatedSection] = [:]
    var restriction = SubscriberRestriction()

    func track(sid: String) -> PublishedTrack? {
        tracks.first { $0.sid == sid } ?? pending.first { $0.sid == sid }
    }

    func track(mid: String) -> PublishedTrack? {
        tracks.first { $0.mid == mid }
    }

    func knows(cid: String) -> Bool {
        pending.contains { $0.cid == cid } || tracks.contains { $0.cid == cid }
    }

    mutating func announce(_ track: PublishedTrack) {
        pending.append(track)
    }

    mutating func remove(_ track: PublishedTrack) {
        tracks.removeAll { $0 === track }
        pending.removeAll { $0 === track }
    }

    /// Remembers which sections the client sends in; returns the tracks whose section is gone.
    mutating func negotiated(_ negotiated: [NegotiatedSection]) -> [PublishedTrack] {
        sections.removeAll()
        for section in negotiated where section.direction == .recvonly { sections[section.mid] = section }
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
        for section in sections.values.sorted(by: { $0.index < $1.index }) where track(mid: section.mid) == nil {
            guard
                let track = pending.first(where: {
                    // A camera announced as a microphone stays unpublished.
                    $0.cid == section.remoteMSID?.track && !$0.cid.isEmpty && $0.isVideo == (section.kind == .video)
                })
                ?? pending.first(where: { matchesByKind($0, section) })
            else { continue }
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
            published.append(track)
        }
        return published
    }

    /// A client may name the section's track otherwise than in AddTrack; then order and kind decide.
    private func matchesByKind(_ track: PublishedTrack, _ section: NegotiatedSection) -> Bool {
        guard (section.kind == .video) == track.isVideo else { return false }
        let named = section.remoteMSID?.track ?? ""
        return named.isEmpty || !pending.contains { $0.cid == named }
    }
}
