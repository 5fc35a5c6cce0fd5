// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a participant receives, and the sections of its downstream transport that carry it.
///
/// With two connections the server owns the sections and offers them; with a single one the client offers receiving
/// sections, the server fills them in its answers and asks for more when there are too few.
struct Subscriptions {
    /// One section of the server's offer on the subscriber connection.
    struct ServerSection {
        let mid: String
        let isVideo: Bool
        var downTrack: DownTrack?
        /// The client has answered an offer in which the section was inactive. Without that in between, clients take
        /// another track in the section for the old one and never tell the application of it.
        var isInactiveAtClient = false
        /// The track the client knows the section by.
        var shownTrack = ""
    }

    private(set) var downTracks: [DownTrack] = []
    private var downTracksBySID: [String: DownTrack] = [:]
    private var videoCount = 0
    /// Tracks found no place.
    private(set) var isIncomplete = false
    /// A place became free since, which ``takeVacancy()`` tells once.
    private var hasVacancy = false
    var wishes = SubscriptionWishes()
    /// Tracks that their publisher keeps from this participant, as its client knows.
    var denied: Set<String> = []

    // Two connections.
    private(set) var sections: [ServerSection] = []
    /// The offer that waits for its answer.
    struct PendingOffer {
        var id: UInt32
        var description: SessionDescription
        var sentAt: MonotonicTime
        var vacantMids: Set<String>
    }

    var pendingOffer: PendingOffer?
    var nextOfferID = UInt32.random(in: 1...256)
    /// When a new offer is due; nil when the client knows everything.
    var negotiationDueAt: MonotonicTime?
    var hasNegotiated = false

    // A single connection.
    /// Sections that carried a track in our last answer.
    private var shownTracks: [String: String] = [:]
    /// Receiving sections of the client's last offer that carry nothing, by kind.
    private(set) var freeSections: [(mid: String, isVideo: Bool)] = []
    /// Tracks the client cannot decode, by its last offer.
    private(set) var undecodable: [PublishedTrack] = []
    /// Set while the client has been asked for an offer that has not come yet.
    var requirementSentAt: MonotonicTime?
    /// A section lost its track since the client was last asked to offer.
    var hasVacated = false
    /// How often in a row the client was asked for an offer, and what it brought had room for nothing that waits.
    private var fruitlessRequirements = 0
    /// A section that lost its track takes one offer more before it is free again; who has room for nothing after
    /// several will not have it after many, and each costs both sides a description.
    private static let fruitlessRequirementLimit = 3

    func downTrack(sid: String) -> DownTrack? {
        downTracksBySID[sid]
    }

    /// No track of this kind can be received besides those that are.
    func isFull(forVideo isVideo: Bool, limit: FocusLimits.Reception) -> Bool {
        downTracks.count >= limit.tracks || isVideo && videoCount >= limit.videos
    }

    /// True when the track may be received; otherwise one is waiting from now on.
    mutating func takePlace(for track: PublishedTrack, limit: FocusLimits.Reception) -> Bool {
        guard isFull(forVideo: track.isVideo, limit: limit) else { return true }
        isIncomplete = true
        return false
    }

    /// Whether there is a place for tracks that found none before; true once.
    mutating func takeVacancy() -> Bool {
        guard hasVacancy else { return false }
        hasVacancy = false
        isIncomplete = false
        return true
    }

    mutating func add(_ downTrack: DownTrack) {
        downTracks.append(downTrack)
        downTracksBySID[downTrack.track.sid] = downTrack
        if downTrack.track.isVideo { videoCount += 1 }
        fruitlessRequirements = 0
    }

    mutating func remove(_ downTrack: DownTrack) {
        downTracks.removeAll { $0 === downTrack }
        downTracksBySID[downTrack.track.sid] = nil
        if downTrack.track.isVideo { videoCount -= 1 }
        hasVacancy = isIncomplete
        // What waits may find room in its section, two offers later.
        fruitlessRequirements = 0
        for index in sections.indices where sections[index].downTrack === downTrack {
            sections[index].downTrack = nil
        }
    }

    /// The track has ended; its sid never comes again.
    mutating func forget(_ sid: String) {
        wishes.forget(sid)
        if !denied.isEmpty { denied.remove(sid) }
    }

    /// A track has no section yet, and another offer may give it one.
    var hasWaiting: Bool {
        downTracks.contains { downTrack in
            downTrack.mid == nil && downTrack.outgoing != nil
                && (hasRoomForSection
                    || sections.contains { $0.downTrack == nil && $0.isVideo == downTrack.track.isVideo })
        }
    }

    /// The section of the data channels is one more.
    private var hasRoomForSection: Bool { sections.count + 1 < SDPParser.Limit.sections }

    // MARK: Two connections

    /// Gives every waiting track a section, reusing vacant ones where the client can.
    mutating func assignServerSections(reusingVacant: Bool) {
        for downTrack in downTracks where downTrack.mid == nil && downTrack.outgoing != nil {
            let isVideo = downTrack.track.isVideo
            // Subscribed again before the client saw it go: one description that ends a track in one section and begins
            // it in another leaves some clients without it.
            let isEnding = sections.contains {
                $0.downTrack == nil && !$0.isInactiveAtClient && $0.shownTrack == downTrack.track.sid
            }
            if isEnding { continue }
            if reusingVacant, let vacant = vacantSection(for: downTrack) {
                sections[vacant].downTrack = downTrack
                sections[vacant].isInactiveAtClient = false
                sections[vacant].shownTrack = downTrack.track.sid
                downTrack.mid = sections[vacant].mid
            } else if hasRoomForSection {
                // Mid 0 is the data section.
                let mid = String(sections.count + 1)
                sections.append(
                    ServerSection(mid: mid, isVideo: isVideo, downTrack: downTrack, shownTrack: downTrack.track.sid))
                downTrack.mid = mid
            }
        }
    }

    /// Vacant sections beyond this many are reused for any track, so that their number stays bounded.
    private static let vacantSectionLimit = 16

    /// A section the client has seen inactive.
    ///
    /// NOTE: the livekit Rust client raises no event when a track comes back in the very section it was taken from, so
    /// another one is preferred.
    private func vacantSection(for downTrack: DownTrack) -> Int? {
        let vacant = sections.indices.filter {
            sections[$0].downTrack == nil && sections[$0].isVideo == downTrack.track.isVideo
                && sections[$0].isInactiveAtClient
        }
        let other = vacant.first { sections[$0].shownTrack != downTrack.track.sid }
        return other ?? (vacant.count > Self.vacantSectionLimit ? vacant.first : nil)
    }

    var offeredSections: [OfferedSection] {
        [OfferedSection(mid: "0", content: .dataChannels)]
            + sections.map { section in
                if let outgoing = section.downTrack?.outgoing {
                    return OfferedSection(mid: section.mid, content: .track(outgoing))
                }
                return OfferedSection(mid: section.mid, content: section.isVideo ? .vacantVideo : .vacantAudio)
            }
    }

    var vacantMids: Set<String> {
        Set(sections.filter { $0.downTrack == nil }.map(\.mid))
    }

    /// The client has answered an offer with these sections inactive.
    mutating func becameInactive(_ mids: Set<String>) {
        for index in sections.indices where mids.contains(sections[index].mid) && sections[index].downTrack == nil {
            sections[index].isInactiveAtClient = true
        }
    }

    // MARK: A single connection

    /// Decides what the client's receiving sections carry: what they carried before, then the waiting tracks.
    ///
    /// Tracks for which the client has receiving sections but no codec are ``undecodable`` afterwards.
    mutating func assignSections(of offer: RemoteDescription) -> [String: OutgoingTrack] {
        let wasRequired = requirementSentAt != nil
        requirementSentAt = nil
        undecodable.removeAll()
        var result: [String: OutgoingTrack] = [:]
        var free: [RemoteSection] = []
        var vacated: [(mid: String, isVideo: Bool)] = []
        var ending: Set<String> = []
        var present: Set<String> = []
        for section in offer.sections where section.obstacle == nil {
            guard section.kind == .audio || section.kind == .video, section.direction == .recvonly else { continue }
            present.insert(section.mid)
            if let carried = downTracks.first(where: { $0.mid == section.mid }), let outgoing = carried.outgoing {
                result[section.mid] = outgoing
            } else if let shown = shownTracks[section.mid] {
                ending.insert(shown)
                // Answered inactive once, before another track may take it.
                vacated.append((section.mid, section.kind == .video))
            } else {
                free.append(section)
            }
        }
        for downTrack in downTracks where downTrack.mid.map({ !present.contains($0) }) ?? false {
            downTrack.lostSection()
        }
        var hasFilled = false
        for downTrack in downTracks where downTrack.mid == nil {
            guard let outgoing = downTrack.outgoing, !ending.contains(downTrack.track.sid) else { continue }
            let ofKind = free.indices.filter { (free[$0].kind == .video) == downTrack.track.isVideo }
            guard let index = ofKind.first(where: { free[$0].codec(decoding: outgoing.codec) != nil }) else {
                if !ofKind.isEmpty { undecodable.append(downTrack.track) }
                continue
            }
            let section = free.remove(at: index)
            downTrack.mid = section.mid
            result[section.mid] = outgoing
            hasFilled = true
        }
        fruitlessRequirements = hasFilled ? 0 : fruitlessRequirements + (wasRequired ? 1 : 0)
        freeSections = free.map { ($0.mid, $0.kind == .video) } + vacated
        shownTracks = result.mapValues(\.msid.track)
        return result
    }

    /// Whether asking the client for another offer may give something that waits its section.
    var isWorthRequiring: Bool {
        missingSections() != nil && fruitlessRequirements < Self.fruitlessRequirementLimit
    }

    /// How many sections the client must add, or nil when nothing waits. Zero of both still means: offer again.
    func missingSections() -> LiveKitMediaSectionsRequirement? {
        let waiting = downTracks.filter { $0.mid == nil && $0.outgoing != nil }
        guard !waiting.isEmpty || hasVacated else { return nil }
        func missing(video: Bool) -> UInt32 {
            let needed = waiting.count { $0.track.isVideo == video }
            return UInt32(max(0, needed - freeSections.count { $0.isVideo == video }))
        }
        var requirement = LiveKitMediaSectionsRequirement()
        requirement.numAudios = missing(video: false)
        requirement.numVideos = missing(video: true)
        return requirement
    }

    // MARK: Both

    /// Tells each track what its section came to.
    func negotiated(_ negotiated: [NegotiatedSection]) {
        for section in negotiated {
            downTracks.first { $0.mid == section.mid }?.negotiated(section)
        }
    }

    /// Which track each section carries; clients with one connection find their tracks by it.
    var trackIDsByMid: [String: String] {
        Dictionary(
            downTracks.compactMap { downTrack in downTrack.mid.map { ($0, downTrack.track.sid) } },
            uniquingKeysWith: { first, _ in first })
    }
}
