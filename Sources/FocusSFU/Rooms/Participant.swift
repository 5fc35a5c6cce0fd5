// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One participant session: who it is, what it may do, its transports, what it publishes and what it receives.
///
/// Lives on its room's worker. A resume keeps the object and swaps ``signal``; a full reconnect makes a new one.
final class Participant {
    let sid = SID.make("PA_")
    let identity: String
    let client: LiveKitClientInfo
    let usesSinglePeerConnection: Bool
    let autoSubscribe: Bool
    let adaptiveStream: Bool
    /// The client takes the subscriber connection for the one that must stand; it was told so at the join.
    let isSubscriberPrimary: Bool
    let kind: LiveKitParticipantInfo.Kind
    let joinedAtMilliseconds: Int64
    let joinedAt: MonotonicTime
    unowned let room: Room

    var claims: TokenClaims
    var name: String
    var metadata: String
    var attributes: [String: String]
    var permission: LiveKitParticipantPermission {
        didSet { rightsDecidedAt = UnixClock.seconds() }
    }
    /// When the token was issued, or the server changed, what the permission says; Unix seconds.
    var rightsDecidedAt: Int64
    var state = LiveKitParticipantInfo.State.joining
    var disconnectReason = LiveKitDisconnectReason.unknownReason
    private var version: UInt32 = 0
    /// Kept by the room: the others have yet to hear of the latest change.
    var hasUnannouncedChange = false

    /// The open signal socket; nil while it is lost.
    var signal: (any SignalSink)?
    var signalLostAt: MonotonicTime?
    var transportClosedAt: MonotonicTime?
    var nextTokenRefresh = MonotonicTime.zero
    var nextSenderReports = MonotonicTime.zero
    /// The client gets no pictures, as it is about to offer one of its own.
    var heldPictures: HeldPictures?
    /// The latest tokens that the client came with or was given.
    private(set) var tokenSignatures: [[UInt8]] = []

    let publisher: PeerTransport
    /// The second peer connection, on which the server offers; nil with a single one.
    let subscriber: PeerTransport?
    var publications = Publications()
    var subscriptions = Subscriptions()
    var data = DataTraffic()
    /// The participant's number in the room's speaker detection.
    var speakerNumber = 0
    var quality = ConnectionQualityMeter()
    /// What the client was told last, by sid: of itself and of those whose tracks it receives.
    var toldQualities: [String: LiveKitConnectionQuality] = [:]
    /// When a simulated speech ends.
    var speechEndsAt: MonotonicTime?
    var resumeFault: ResumeFault?

    init(
        room: Room, identity: String, claims: TokenClaims, parameters: JoinParameters, signal: any SignalSink,
        publisher: PeerTransport, subscriber: PeerTransport?, unixMilliseconds: Int64, now: MonotonicTime
    ) {
        self.room = room
        self.identity = identity
        self.claims = claims
        self.client = parameters.client
        self.usesSinglePeerConnection = parameters.usesSinglePeerConnection
        self.autoSubscribe = parameters.autoSubscribe
        self.adaptiveStream = parameters.adaptiveStream
        self.kind = claims.participantKind
        self.name = claims.name
        self.metadata = claims.metadata
        self.attributes = claims.attributes
        var permission = claims.participantPermission
        if parameters.publishOnlySuffix != nil { permission.canSubscribe = false }
        self.permission = permission
        isSubscriberPrimary = subscriber != nil && parameters.client.protocol > 2 && permission.canSubscribe
        rightsDecidedAt = claims.issuanceTime ?? 0
        self.signal = signal
        self.publisher = publisher
        self.subscriber = subscriber
        self.joinedAtMilliseconds = unixMilliseconds
        self.joinedAt = now
        note(tokenSignature: claims.signature)
        if permission.canUpdateMetadata {
            if !parameters.metadata.isEmpty { metadata = parameters.metadata }
            attributes = parameters.mergedAttributes(over: attributes)
        }
    }

    /// The transport on which this participant receives media.
    var downstream: PeerTransport { subscriber ?? publisher }

    /// The transport whose connection makes the participant active.
    var primary: PeerTransport {
        if let subscriber, isSubscriberPrimary { return subscriber }
        return publisher
    }

    var isActive: Bool { state == .active }
    var isHidden: Bool { permission.hidden }

    /// Serves the others: no room is kept for it alone.
    var isDependent: Bool {
        kind == .agent || kind == .egress || permission.agent || permission.recorder
    }

    func note(tokenSignature: [UInt8]) {
        if tokenSignatures.count == RevokedTokens.maximumSignatureCount { tokenSignatures.removeFirst() }
        tokenSignatures.append(tokenSignature)
    }

    /// Marks a change that others must see; receivers drop anything with an older version.
    func bumpVersion() {
        version &+= 1
    }

    var info: LiveKitParticipantInfo {
        var info = LiveKitParticipantInfo()
        info.sid = sid
        info.identity = identity
        info.name = name
        info.state = state
        info.metadata = metadata
        info.attributes = attributes
        info.joinedAt = joinedAtMilliseconds / 1000
        info.joinedAtMs = joinedAtMilliseconds
        info.version = version
        info.permission = permission
        info.kind = kind
        info.kindDetails = claims.participantKindDetails
        info.tracks = publications.tracks.map(\.info)
        info.isPublisher = !info.tracks.isEmpty
        info.disconnectReason = disconnectReason
        info.clientProtocol = client.clientProtocol
        info.capabilities = client.capabilities
        return info
    }

    func send(_ message: LiveKitSignalResponse.OneOf_Message) {
        signal?.send(message)
    }

    /// Tells the client how the session ends (or goes on elsewhere), then closes the socket.
    func leave(reason: LiveKitDisconnectReason, action: LiveKitLeaveRequest.Action) {
        var leave = LiveKitLeaveRequest()
        leave.reason = reason
        leave.action = action
        leave.canReconnect = action != .disconnect
        send(.leave(leave))
        signal?.close(reason: "leave")
        signal = nil
    }

    /// Answers a request that carried a `request_id`, or that failed.
    func respond(
        _ reason: LiveKitRequestResponse.Reason, to request: LiveKitRequestResponse.OneOf_Request?,
        requestID: UInt32 = 0, message: String = ""
    ) {
        // Clients below these protocols do not know the message, or not its OK.
        if client.sdk == .rust, client.protocol < 10 { return }
        if reason == .ok, client.protocol <= 14 { return }
        var response = LiveKitRequestResponse()
        response.requestID = requestID
        response.reason = reason
        response.message = message
        response.request = request
        send(.requestResponse(response))
    }
}
