// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOHTTP1
import SwiftProtobuf

/// The signal socket and its validate twins: everything that can be refused is refused before the upgrade, with a
/// status and a text that clients show.
struct SignalRoutes: Sendable {
    let configuration: FocusConfiguration
    let directory: RoomDirectory
    let verifier: AccessTokenVerifier
    let refusals: SignalRefusals

    /// Adds `/rtc`, `/rtc/v1` and their validate routes below each prefix.
    func register(on router: inout HTTPRouter, prefixes: [String]) {
        for prefix in prefixes {
            for (path, isVersion1) in [("/rtc", false), ("/rtc/v1", true)] {
                router.webSocket(prefix + path) { request in await upgrade(request, isVersion1Path: isVersion1) }
                router.on(.GET, prefix + path + "/validate") { request, _ in
                    await validate(request, isVersion1Path: isVersion1)
                }
            }
        }
    }

    private struct Admission {
        var room: String
        var identity: String
        var claims: TokenClaims
        var parameters: JoinParameters
    }

    private func upgrade(_ request: HTTPRequest, isVersion1Path: Bool) async -> WebSocketDecision {
        switch await admit(request, isVersion1Path: isVersion1Path) {
        case .failure(let refusal):
            return .refuse(refusal.response)
        case .success(let admission):
            let home: MediaWorker
            do throws(Refusal) {
                home = try await self.home(for: admission)
            } catch {
                return .refuse(error.response)
            }
            let limits = configuration.limits
            let backlog = SignalBacklog(
                maximumCount: limits.pendingSignalMessages, maximumBytes: limits.pendingSignalBytes)
            return .accept { connection in
                let session = SignalSession(connection: connection, worker: home, backlog: backlog)
                home.post { worker in
                    // Whoever was removed while the socket opened is not in the room yet, so nothing removed it.
                    guard !directory.isRevoked(admission.claims, room: admission.room, identity: admission.identity)
                    else {
                        worker.signalRefusals.count(.revokedToken)
                        return worker.refuse(session, reason: .participantRemoved, action: .disconnect)
                    }
                    worker.join(
                        room: admission.room, identity: admission.identity,
                        claims: directory.standing(
                            admission.claims, room: admission.room, identity: admission.identity),
                        parameters: admission.parameters, session: session)
                }
                return session
            }
        }
    }

    private func validate(_ request: HTTPRequest, isVersion1Path: Bool) async -> HTTPResponse {
        switch await admit(request, isVersion1Path: isVersion1Path) {
        case .failure(let refusal): refusal.response
        case .success: .text("success")
        }
    }

    private struct Refusal: Error {
        var status: HTTPResponseStatus
        var body: String

        var response: HTTPResponse { .text(body, status: status) }
    }

    /// Who this is, and whether token and room let it in. Nothing is made yet.
    private func admit(_ request: HTTPRequest, isVersion1Path: Bool) async -> Result<Admission, Refusal> {
        let claims: TokenClaims
        do throws(TokenRefusal) {
            let token = try AccessTokenVerifier.token(
                authorization: request.headers.first(name: "Authorization"),
                parameter: request.queryValue("access_token"))
            claims = try verifier.verify(token, now: UnixClock.seconds())
        } catch {
            return .failure(Refusal(status: .unauthorized, body: error.responseBody))
        }
        guard claims.grant.roomJoin else { return .failure(Refusal(status: .unauthorized, body: "permissions denied")) }

        let parameters: JoinParameters
        do throws(JoinParameters.Refusal) {
            parameters = try JoinParameters(
                query: { request.queryValue($0) }, isVersion1Path: isVersion1Path,
                userAgent: request.headers.first(name: "User-Agent") ?? "",
                clientAddress: request.claimedClientAddress)
            try parameters.checkLengths(with: claims, limits: configuration.limits)
        } catch {
            refusals.count(.joinParameters)
            return .failure(Refusal(status: .badRequest, body: error.body))
        }
        if !claims.grant.mayUpdateOwnMetadata, !parameters.metadata.isEmpty || !parameters.attributes.isEmpty {
            return .failure(
                Refusal(status: .unauthorized, body: "does not have permission to update own metadata"))
        }

        let limits = configuration.limits
        var identity = claims.identity
        if let suffix = parameters.publishOnlySuffix { identity += "#\(suffix)" }
        let room = claims.grant.room.isEmpty ? request.queryValue("room") ?? "" : claims.grant.room
        if claims.identity.isEmpty { return .failure(Refusal(status: .badRequest, body: "identity cannot be empty")) }
        if identity.utf8.count > limits.identityLength {
            return .failure(
                Refusal(status: .badRequest, body: "identity exceeds limits: max length \(limits.identityLength)"))
        }
        if room.isEmpty { return .failure(Refusal(status: .badRequest, body: "no room name")) }
        if room.utf8.count > limits.roomNameLength {
            return .failure(
                Refusal(status: .badRequest, body: "room name exceeds limits: max length \(limits.roomNameLength)"))
        }

        if directory.isRevoked(claims, room: room, identity: identity) {
            refusals.count(.revokedToken)
            return .failure(Refusal(status: .unauthorized, body: "permissions denied"))
        }

        if let worker = await directory.worker(ofRoom: room) {
            // One more of an identity already inside replaces it, so a full room still lets it in.
            if !parameters.isReconnect, await worker.isFull(room: room, for: identity) {
                return .failure(Refusal(status: .serviceUnavailable, body: "the room is full"))
            }
        } else {
            guard configuration.createsRoomsOnJoin || claims.grant.roomCreate else {
                return .failure(Refusal(status: .notFound, body: "requested room does not exist"))
            }
            do throws(RoomServiceError) {
                try await directory.checkPlace(forRoom: room)
            } catch {
                return .failure(Refusal(status: .serviceUnavailable, body: error.message))
            }
        }
        return .success(Admission(room: room, identity: identity, claims: claims, parameters: parameters))
    }

    /// Where the room lives; it is made if it is not there.
    private func home(for admission: Admission) async throws(Refusal) -> MediaWorker {
        if let worker = await directory.worker(ofRoom: admission.room) { return worker }
        do throws(RoomServiceError) {
            try await directory.createRoom(named: admission.room, wishes: Self.wishes(of: admission.claims))
        } catch {
            throw Refusal(status: .serviceUnavailable, body: error.message)
        }
        guard let worker = await directory.worker(ofRoom: admission.room) else {
            throw Refusal(status: .notFound, body: "requested room does not exist")
        }
        return worker
    }

    /// What a token says about the room that its join creates.
    private static func wishes(of claims: TokenClaims) -> RoomSettings.Wishes {
        var options = JSONDecodingOptions()
        options.ignoreUnknownFields = true
        guard let text = claims.roomConfig?.text,
            let wanted = try? LiveKitRoomConfiguration(jsonString: text, options: options)
        else { return RoomSettings.Wishes() }
        return RoomSettings.Wishes(
            emptyTimeoutSeconds: wanted.emptyTimeout > 0 ? wanted.emptyTimeout : nil,
            departureTimeoutSeconds: wanted.departureTimeout > 0 ? wanted.departureTimeout : nil,
            maximumParticipants: wanted.maxParticipants > 0 ? wanted.maxParticipants : nil,
            metadata: wanted.metadata.isEmpty ? nil : wanted.metadata)
    }
}
