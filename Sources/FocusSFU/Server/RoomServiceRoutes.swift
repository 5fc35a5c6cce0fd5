// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FoundationEssentials
import NIOHTTP1
import SwiftProtobuf

/// `livekit.RoomService` over Twirp: protobuf or JSON by content type, errors always JSON.
struct RoomServiceRoutes: Sendable {
    let configuration: FocusConfiguration
    let directory: RoomDirectory
    let verifier: AccessTokenVerifier

    func register(on router: inout HTTPRouter, prefixes: [String]) {
        for prefix in prefixes {
            router.on(
                .POST, prefix + "/twirp/livekit.RoomService/:method", bodyLimit: 10 * 1024 * 1024,
                admission: { admission($0) }
            ) { request, parameters in
                await respond(request, method: parameters["method"] ?? "")
            }
            router.on(.POST, prefix + "/twirp/livekit.Egress/:method") { request, _ in
                refuseEgress(request)
            }
            router.on(.POST, prefix + "/twirp/:service/:method") { _, parameters in
                Self.failure(
                    RoomServiceError(
                        code: parameters["service"].map(Self.otherServices.contains) ?? false
                            ? .unimplemented : .badRoute,
                        message: "this server has no \(parameters["service"] ?? "")/\(parameters["method"] ?? "")"))
            }
        }
    }

    private static let otherServices: Set<String> = [
        "livekit.Ingress", "livekit.SIP", "livekit.AgentDispatchService",
    ]

    private func respond(_ request: HTTPRequest, method: String) async -> HTTPResponse {
        let grant: VideoGrant
        do throws(Refusal) {
            grant = try self.grant(of: request)
        } catch {
            return error.response
        }
        do throws(RoomServiceError) {
            return try await dispatch(method, Call(request: request, grant: grant, service: self))
        } catch {
            return Self.failure(error)
        }
    }

    /// There is nothing that records; who may ask for it learns that.
    private func refuseEgress(_ request: HTTPRequest) -> HTTPResponse {
        do throws(Refusal) {
            guard try grant(of: request).roomRecord else { return Self.failure(.permissionDenied) }
        } catch {
            return error.response
        }
        return Self.failure(.internalError("egress not connected (redis required)"))
    }

    /// The answer to a request whose token does not count.
    private struct Refusal: Error {
        var response: HTTPResponse
    }

    /// What the bearer of the request's token may do now.
    private func grant(of request: HTTPRequest) throws(Refusal) -> VideoGrant {
        var claims: TokenClaims
        do throws(TokenRefusal) {
            let token = try AccessTokenVerifier.token(
                authorization: request.headers.first(name: "Authorization"), parameter: nil)
            claims = try verifier.verify(token, now: UnixClock.seconds())
        } catch {
            // A call without a token is one without permission; a token that is none is refused before Twirp.
            throw Refusal(
                response: error == .missing
                    ? Self.failure(.permissionDenied) : .text(error.responseBody, status: .unauthorized))
        }
        // The token of a participant says what was true when it was made.
        let room = claims.grant.room
        guard !directory.isRevoked(claims, room: room, identity: claims.identity) else {
            throw Refusal(response: Self.failure(.permissionDenied))
        }
        return directory.standing(claims, room: room, identity: claims.identity).grant
    }

    static func failure(_ error: RoomServiceError) -> HTTPResponse {
        let body = try? JSONEncoder().encode(["code": error.code.rawValue, "msg": error.message])
        return .json([UInt8](body ?? Data()), status: HTTPResponseStatus(statusCode: error.httpStatus))
    }

    private func dispatch(_ method: String, _ call: Call) async throws(RoomServiceError) -> HTTPResponse {
        switch method {
        case "CreateRoom": try await call.answer(createRoom)
        case "ListRooms": try await call.answer(listRooms)
        case "DeleteRoom": try await call.answer(deleteRoom)
        case "ListParticipants": try await call.answer(listParticipants)
        case "GetParticipant": try await call.answer(getParticipant)
        case "RemoveParticipant": try await call.answer(removeParticipant)
        case "MutePublishedTrack": try await call.answer(mutePublishedTrack)
        case "UpdateParticipant": try await call.answer(updateParticipant)
        case "UpdateSubscriptions": try await call.answer(updateSubscriptions)
        case "SendData": try await call.answer(sendData)
        case "UpdateRoomMetadata": try await call.answer(updateRoomMetadata)
        case "ForwardParticipant": try await call.answer(forwardParticipant)
        case "MoveParticipant": try await call.answer(moveParticipant)
        case "PerformRpc": try await call.answer(performRPC)
        default:
            throw RoomServiceError(code: .badRoute, message: "no method \(method)")
        }
    }

    /// One request with what is needed to read it and to answer it.
    struct Call: Sendable {
        let request: HTTPRequest
        let grant: VideoGrant
        let service: RoomServiceRoutes

        private var usesJSON: Bool {
            request.headers.first(name: "Content-Type")?.hasPrefix("application/json") ?? false
        }

        func answer<Request: Message, Response: Message>(
            _ body: (Request, VideoGrant) async throws(RoomServiceError) -> Response
        ) async throws(RoomServiceError) -> HTTPResponse {
            let response = try await body(try decode(), grant)
            if usesJSON {
                return .json((try? response.jsonUTF8Bytes()) ?? [])
            }
            return HTTPResponse(
                status: .ok, headers: ["Content-Type": "application/protobuf"],
                body: (try? response.serializedBytes()) ?? [])
        }

        private func decode<Request: Message>() throws(RoomServiceError) -> Request {
            do {
                guard usesJSON else { return try Request(serializedBytes: request.body) }
                var options = JSONDecodingOptions()
                options.ignoreUnknownFields = true
                return try Request(jsonUTF8Bytes: request.body, options: options)
            } catch {
                throw RoomServiceError(code: .malformed, message: "the request body cannot be read")
            }
        }
    }

    // MARK: Methods

    private func createRoom(
        _ request: LiveKitCreateRoomRequest, grant: VideoGrant
    ) async throws(RoomServiceError) -> LiveKitRoom {
        guard grant.roomCreate else { throw .permissionDenied }
        guard request.metadata.utf8.count <= configuration.limits.metadataBytes else {
            throw .invalidArgument("metadata size exceeds limits")
        }
        guard request.roomPreset.isEmpty else {
            throw .invalidArgument("this server has no room preset: leave room_preset empty")
        }
        // Zero and empty are what a request says that leaves a setting as it is.
        let wishes = RoomSettings.Wishes(
            emptyTimeoutSeconds: request.emptyTimeout > 0 ? request.emptyTimeout : nil,
            departureTimeoutSeconds: request.departureTimeout > 0 ? request.departureTimeout : nil,
            maximumParticipants: request.maxParticipants > 0 ? request.maxParticipants : nil,
            metadata: request.metadata.isEmpty ? nil : request.metadata)
        return try await directory.createRoom(named: request.name, wishes: wishes)
    }

    private func listRooms(
        _ request: LiveKitListRoomsRequest, grant: VideoGrant
    ) async throws(RoomServiceError) -> LiveKitListRoomsResponse {
        guard grant.roomList else { throw .permissionDenied }
        var response = LiveKitListRoomsResponse()
        let names = Set(request.names)
        response.rooms = await directory.rooms().filter { names.isEmpty || names.contains($0.name) }
        return response
    }

    private func deleteRoom(
        _ request: LiveKitDeleteRoomRequest, grant: VideoGrant
    ) async throws(RoomServiceError) -> LiveKitDeleteRoomResponse {
        guard grant.roomCreate else { throw .permissionDenied }
        guard await directory.deleteRoom(named: request.room) else {
            throw .notFound("requested room does not exist")
        }
        return LiveKitDeleteRoomResponse()
    }

    private func listParticipants(
        _ request: LiveKitListParticipantsRequest, grant: VideoGrant
    ) async throws(RoomServiceError) -> LiveKitListParticipantsResponse {
        guard grant.mayAdminister(room: request.room) else { throw .permissionDenied }
        var response = LiveKitListParticipantsResponse()
        guard let worker = await directory.worker(ofRoom: request.room) else { return response }
        response.participants = try await worker.administer(room: request.room) { room throws(RoomServiceError) in
            room.order.map(\.info)
        }
        return response
    }

    /// Runs `body` on the participant's worker.
    private func administer<Result: Sendable>(
        _ identity: String, in room: String, grant: VideoGrant,
        _ body: @escaping @Sendable (Participant) throws(RoomServiceError) -> Result
    ) async throws(RoomServiceError) -> Result {
        guard grant.mayAdminister(room: room) else { throw .permissionDenied }
        guard let worker = await directory.worker(ofRoom: room) else { throw .notFound("participant does not exist") }
        return try await worker.administer(room: room) { room throws(RoomServiceError) in
            guard let participant = room.participants[identity] else { throw .notFound("participant does not exist") }
            return try body(participant)
        }
    }

    private func getParticipant(
        _ request: LiveKitRoomParticipantIdentity, grant: VideoGrant
    ) async throws(RoomServiceError) -> LiveKitParticipantInfo {
        try await administer(request.identity, in: request.room, grant: grant) { participant throws(RoomServiceError) in
            participant.info
        }
    }

    private func removeParticipant(
        _ request: LiveKitRoomParticipantIdentity, grant: VideoGrant
    ) async throws(RoomServiceError) -> LiveKitRemoveParticipantResponse {
        guard grant.mayAdminister(room: request.room) else { throw .permissionDenied }
        guard await directory.endSession(of: request.identity, inRoom: request.room) else {
            throw .notFound("participant does not exist")
        }
        return LiveKitRemoveParticipantResponse()
    }

    private func mutePublishedTrack(
        _ request: LiveKitMuteRoomTrackRequest, grant: VideoGrant
    ) async throws(RoomServiceError) -> LiveKitMuteRoomTrackResponse {
        let allowsUnmute = configuration.allowsRemoteUnmute
        return try await administer(request.identity, in: request.room, grant: grant) {
            participant throws(RoomServiceError) in
            guard let track = participant.publications.track(sid: request.trackSid) else {
                throw .notFound("track is not found")
            }
            guard request.muted || allowsUnmute else {
                throw RoomServiceError(code: .failedPrecondition, message: "remote unmute not enabled")
            }
            participant.muteByServer(track, muted: request.muted)
            var response = LiveKitMuteRoomTrackResponse()
            response.track = track.info
            return response
        }
    }

    private func updateParticipant(
        _ request: LiveKitUpdateParticipantRequest, grant: VideoGrant
    ) async throws(RoomServiceError) -> LiveKitParticipantInfo {
        let limits = configuration.limits
        return try await administer(request.identity, in: request.room, grant: grant) {
            participant throws(RoomServiceError) in
            try participant.updateByServer(request, limits: limits)
            return participant.info
        }
    }

    private func updateSubscriptions(
        _ request: LiveKitUpdateSubscriptionsRequest, grant: VideoGrant
    ) async throws(RoomServiceError) -> LiveKitUpdateSubscriptionsResponse {
        try await administer(request.identity, in: request.room, grant: grant) { participant throws(RoomServiceError) in
            var update = LiveKitUpdateSubscription()
            update.trackSids = request.trackSids
            update.participantTracks = request.participantTracks
            update.subscribe = request.subscribe
            participant.updateSubscription(update)
            return LiveKitUpdateSubscriptionsResponse()
        }
    }

    private func sendData(
        _ request: LiveKitSendDataRequest, grant: VideoGrant
    ) async throws(RoomServiceError) -> LiveKitSendDataResponse {
        guard grant.mayAdminister(room: request.room) else { throw .permissionDenied }
        guard request.nonce.isEmpty || request.nonce.count == 16 else {
            throw .invalidArgument("nonce should be 16-bytes or not present")
        }
        guard let worker = await directory.worker(ofRoom: request.room) else {
            throw .notFound("requested room does not exist")
        }
        try await worker.administer(room: request.room) { room throws(RoomServiceError) in
            // A client of the server API repeats a request when the answer is lost.
            guard request.nonce.isEmpty || room.nonces.insert(request.nonce) else { return }
            var packet = LiveKitDataPacket()
            packet.kind = request.kind
            packet.destinationIdentities = request.destinationIdentities
            packet.user.payload = request.data
            packet.user.destinationSids = request.destinationSids
            packet.user.destinationIdentities = request.destinationIdentities
            packet.user.nonce = request.nonce
            if request.hasTopic { packet.user.topic = request.topic }
            room.distribute(packet, isReliable: request.kind == .reliable, from: nil)
        }
        return LiveKitSendDataResponse()
    }

    private func updateRoomMetadata(
        _ request: LiveKitUpdateRoomMetadataRequest, grant: VideoGrant
    ) async throws(RoomServiceError) -> LiveKitRoom {
        guard grant.mayAdminister(room: request.room) else { throw .permissionDenied }
        guard request.metadata.utf8.count <= configuration.limits.metadataBytes else {
            throw .invalidArgument("metadata size exceeds limits")
        }
        guard let worker = await directory.worker(ofRoom: request.room) else {
            throw .notFound("requested room does not exist")
        }
        return try await worker.administer(room: request.room) { room throws(RoomServiceError) in
            room.settings.metadata = request.metadata
            room.broadcastRoom()
            return room.info
        }
    }

    // MARK: Methods of other servers

    private func forwardParticipant(
        _ request: LiveKitForwardParticipantRequest, grant: VideoGrant
    ) async throws(RoomServiceError) -> LiveKitForwardParticipantResponse {
        throw Self.refusal(ofTransferFrom: request.room, to: request.destinationRoom, grant: grant)
    }

    private func moveParticipant(
        _ request: LiveKitMoveParticipantRequest, grant: VideoGrant
    ) async throws(RoomServiceError) -> LiveKitMoveParticipantResponse {
        throw Self.refusal(ofTransferFrom: request.room, to: request.destinationRoom, grant: grant)
    }

    private static func refusal(
        ofTransferFrom room: String, to destination: String, grant: VideoGrant
    ) -> RoomServiceError {
        guard grant.mayAdminister(room: room), grant.destinationRoom == destination else { return .permissionDenied }
        guard room != destination else {
            return .invalidArgument("destination room cannot be the same as source room")
        }
        return RoomServiceError(code: .unimplemented, message: "participants cannot be taken to another room")
    }

    private func performRPC(
        _ request: LiveKitPerformRpcRequest, grant: VideoGrant
    ) async throws(RoomServiceError) -> LiveKitPerformRpcResponse {
        guard grant.mayAdminister(room: request.room) else { throw .permissionDenied }
        guard !request.destinationIdentity.isEmpty else { throw .invalidArgument("destination identity is required") }
        throw RoomServiceError(code: .unimplemented, message: "PerformRpc is not supported")
    }
}
