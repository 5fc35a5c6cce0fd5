// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a load test does: who joins, what they send, for how long.
package struct LoadTestPlan: Sendable {
    /// What one participant does.
    package struct Role: Equatable, Sendable {
        package var publishesAudio: Bool
        package var publishesVideo: Bool
        package var subscribes: Bool

        package init(publishesAudio: Bool, publishesVideo: Bool, subscribes: Bool) {
            self.publishesAudio = publishesAudio
            self.publishesVideo = publishesVideo
            self.subscribes = subscribes
        }

        var publishes: Bool { publishesAudio || publishesVideo }
    }

    package struct TrackShape: Equatable, Sendable {
        package var packetsPerSecond: Int
        /// Bytes behind the RTP header.
        package var payloadBytes: Int

        package init(packetsPerSecond: Int, payloadBytes: Int) {
            self.packetsPerSecond = packetsPerSecond
            self.payloadBytes = payloadBytes
        }
    }

    /// What a payload may measure: room for a VP8 header and the mark, and one datagram.
    package static let payloadBytes = GeneratedTrack.leastPayload...GeneratedTrack.largestPayload

    package enum Admission: Sendable {
        /// Tokens are made with the server's key.
        case key(APIKey)
        /// One for each participant, in joining order; they decide identity and room.
        case tokens([String])
    }

    /// What kind of server it is.
    enum Signalling: Sendable {
        /// LiveKit's, or another that speaks its signalling.
        case liveKit(room: String, Admission)
        /// A Janus server's VideoRoom plugin on its WebSocket transport; a room that is not there is made.
        case janus(room: UInt32)
    }

    package var url: SignalURL
    let signalling: Signalling
    /// In joining order. Those that only publish come first and are sending before the others join.
    package var roles: [Role]
    package var audio = TrackShape(packetsPerSecond: 50, payloadBytes: 160)
    package var video = TrackShape(packetsPerSecond: 227, payloadBytes: 1_100)
    package var pacing = PacketSchedule.Pacing.steady
    package var durationSeconds = 10
    /// Joins begun a second; zero is without limit.
    package var joinsPerSecond = 50
    /// Joins under way at a time.
    package var joinsAtOnce = 16
    /// Whose processor time and memory is measured.
    package var serverProcess: Int32?
    /// What comes along with the call while it is measured.
    package var flood: FloodPlan?

    /// For LiveKit's server, or one that speaks as it does.
    package init(url: SignalURL, admission: Admission, room: String, roles: [Role]) {
        self.url = url
        signalling = .liveKit(room: room, admission)
        self.roles = roles
    }

    /// For a Janus server.
    package init(url: SignalURL, videoRoom: UInt32, roles: [Role]) {
        self.url = url
        signalling = .janus(room: videoRoom)
        self.roles = roles
    }

    /// Publishers that hear nobody, and subscribers.
    package static func broadcast(publishers: Int, subscribers: Int, audio: Bool, video: Bool) -> [Role] {
        let publisher = Role(publishesAudio: audio, publishesVideo: video, subscribes: false)
        let subscriber = Role(publishesAudio: false, publishesVideo: false, subscribes: true)
        return Array(repeating: publisher, count: publishers) + Array(repeating: subscriber, count: subscribers)
    }

    /// All subscribe, and the first `talkers` publish.
    package static func meeting(of count: Int, talkers: Int, audio: Bool, video: Bool) -> [Role] {
        (0..<count).map { index in
            Role(publishesAudio: audio && index < talkers, publishesVideo: video && index < talkers, subscribes: true)
        }
    }

    /// Tracks of one kind that a participant will receive once all are there.
    func expectedTracks(of index: Int, video: Bool) -> Int {
        guard roles[index].subscribes else { return 0 }
        let isPublisher = video ? roles[index].publishesVideo : roles[index].publishesAudio
        return roles.count { video ? $0.publishesVideo : $0.publishesAudio } - (isPublisher ? 1 : 0)
    }

    /// What lets a participant in. Empty where nothing is asked for, or when the key is none that signs.
    func token(of index: Int) -> String {
        switch signalling {
        case .janus: return ""
        case .liveKit(_, .tokens(let tokens)): return tokens[index]
        case .liveKit(let room, .key(let key)):
            var grant = VideoGrant()
            grant.roomJoin = true
            // A join may make the room where rooms do not come by themselves.
            grant.roomCreate = true
            grant.room = room
            grant.canPublish = roles[index].publishes
            grant.canSubscribe = roles[index].subscribes
            var claims = TokenClaims()
            claims.identity = "load-test-\(index)"
            claims.expiry = UnixClock.seconds() + 3_600
            claims.video = grant
            return (try? AccessToken.sign(claims, with: key)) ?? ""
        }
    }
}
