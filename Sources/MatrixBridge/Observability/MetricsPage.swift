// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import FoundationEssentials
import NIOHTTP1
import OlmE2EE

/// Prometheus text, format 0.0.4: what flows, what is there, and every refusal by its reason.
struct MetricsPage: Sendable {
    let focus: FocusServer
    let matrix: MatrixServices?
    let turn: TURNServices
    let turnRoutes: TURNRoutes
    let httpRefusals: HTTPRefusalCounters
    let testCallRefusals: Tally<TestCallRoutes.Refusal>?

    func register(on router: inout HTTPRouter, configuration: ServerConfiguration) {
        let credentials: String? = configuration.prometheusUsername.flatMap { user in
            configuration.prometheusPassword.map { "\(user):\($0.exposed)" }
        }
        router.on(.GET, "/metrics") { request, _ in
            guard isAllowed(request, credentials: credentials) else {
                var refusal = HTTPResponse.text("credentials are needed", status: .unauthorized)
                refusal.headers.add(name: "WWW-Authenticate", value: "Basic realm=\"callbridge\"")
                return refusal
            }
            var response = HTTPResponse.text(await text())
            response.headers.replaceOrAdd(name: "Content-Type", value: "text/plain; version=0.0.4")
            return response
        }
    }

    private func isAllowed(_ request: HTTPRequest, credentials: String?) -> Bool {
        guard let credentials else { return true }
        let expected = "Basic " + Data(credentials.utf8).base64EncodedString()
        return SecureHash.areEqual(request.headers.first(name: "Authorization") ?? "", expected)
    }

    private func text() async -> String {
        let figures = await focus.directory.figures()
        var page = PrometheusText()
        page.gauge("livekit_room_total", "Rooms that exist.", figures.rooms)
        page.gauge("livekit_participant_total", "Participants in rooms.", figures.participants)
        page.gauge("livekit_track_published_total", "Tracks published.", figures.tracks)
        page.counter(
            "callbridge_packets_received_total", "Datagrams read from the media sockets.", figures.packetsReceived)
        page.counter(
            "callbridge_packets_forwarded_total", "Media packets given to subscribers.", figures.packetsForwarded)
        page.counter("callbridge_datagrams_sent_total", "Datagrams given to the kernel.", figures.datagramsSent)
        page.counter(
            "callbridge_messages_sent_total", "Messages those left in: several for one peer share one.",
            figures.messagesSent)
        page.counters(
            "callbridge_media_dropped_total", "Media datagrams that went no further.",
            DropReason.allCases.map { ("\($0)", figures.drops[$0]) })
        page.counters(
            "callbridge_signal_refused_total", "Signal messages refused.",
            SignalRefusals.Reason.allCases.map { ("\($0)", focus.signalRefusals[$0]) })
        page.counters(
            "callbridge_http_refused_total", "HTTP requests and WebSockets refused.",
            HTTPRefusal.allCases.map { ("\($0)", httpRefusals[$0]) })
        if let testCallRefusals {
            page.counters(
                "callbridge_test_call_refused_total", "Test calls refused.",
                TestCallRoutes.Refusal.allCases.map { ($0.rawValue, testCallRefusals[$0]) })
        }
        addTURN(to: &page)
        if let matrix {
            page.gauge("callbridge_matrix_calls", "Calls in the roster.", await matrix.coordinator.calls.count)
            page.counters(
                "callbridge_token_refused_total", "Token requests refused.",
                matrix.exchange.refusals.all.map { ("\($0.key)", $0.value) }.sorted { $0.0 < $1.0 })
            page.counters(
                "callbridge_transaction_refused_total", "Transactions without effect.",
                matrix.inbox.refusals.all.map { ("\($0.key)", $0.value) }.sorted { $0.0 < $1.0 })
            page.counters(
                "callbridge_event_refused_total", "Matrix events that say nothing usable.",
                matrix.coordinator.refusals.all.map { ("\($0.key)", $0.value) }.sorted { $0.0 < $1.0 })
            page.counters(
                "callbridge_participants_adjusted_total", "Participants whose rights in a call followed their room.",
                CallEnforcement.Measure.allCases.map { ($0.rawValue, matrix.enforcement.measures[$0]) })
            page.gauge(
                "callbridge_one_to_one_calls", "One-to-one calls with the bot.",
                await matrix.legacyCalls.entries.count)
            page.counters(
                "callbridge_one_to_one_refused_total", "Events of one-to-one calls without effect.",
                LegacyCallRefusal.allCases.map { ($0.rawValue, matrix.legacyCalls.refusals[$0]) })
            page.counters(
                "callbridge_one_to_one_ended_total", "How one-to-one calls with the bot ended.",
                LegacyCallStop.allCases.map { ($0.rawValue, matrix.legacyCalls.stops[$0]) })
            page.counters(
                "callbridge_one_to_one_events_total", "Answers given, and what stood in the way of calls.",
                LegacyCallKeeper.Event.allCases.map { ($0.rawValue, matrix.legacyCalls.events[$0]) })
            page.gauge("callbridge_delayed_leaves", "Delayed leaves held for clients.", await matrix.keeper.count)
            page.counters(
                "callbridge_delayed_leaves_ended_total", "What became of the delayed leaves of clients.",
                DelayedLeave.Outcome.allCases.map { ($0.rawValue, matrix.keeper.outcomes[$0]) })
            if let ghosts = matrix.ghosts {
                page.counters(
                    "callbridge_ghost_memberships_total", "Memberships of clients that died.",
                    GhostClearing.Event.allCases.map { ($0.rawValue, ghosts.events[$0]) })
            }
            page.gauge("callbridge_echoes", "Echoes in calls.", await matrix.legs.rooms.count)
            page.counters(
                "callbridge_echoes_total", "What became of echoes in calls.",
                LegKeeper.Event.allCases.map { ($0.rawValue, matrix.legs.events[$0]) })
            page.counters(
                "callbridge_leg_memberships_total", "What the memberships of our legs in calls met.",
                LegMembership.Notice.allCases.map { ($0.rawValue, matrix.legs.notices[$0]) })
            page.counters(
                "callbridge_media_keys_refused_total", "Media keys sent to our legs that were not used.",
                matrix.mediaKeys.refusals.all.map { ($0.key.name, $0.value) }.sorted { $0.0 < $1.0 })
            page.counters(
                "callbridge_leg_frames_refused_total", "Frames of encrypted calls that our legs did not send back.",
                matrix.mediaKeys.frameRefusals.all.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 })
            page.counters(
                "callbridge_bot_commands_total", "Texts that were meant for the bot.",
                BotDesk.Event.allCases.map { ($0.rawValue, matrix.desk.events[$0]) })
            page.counters(
                "callbridge_encryption_refused_total",
                "To-device messages, keys and encrypted events of the bot's device that were not used.",
                OlmRefusal.allCases.map { ($0.rawValue, matrix.encryption.refusals[$0]) })
            page.counters(
                "callbridge_bot_rooms_total", "What the bot did about its rooms, and what was refused.",
                RoomAttendance.Event.allCases.map { ($0.rawValue, matrix.attendance.events[$0]) })
            page.counters(
                "callbridge_bot_errands_refused_total", "Invitations and joins not followed, because too many wait.",
                RoomErrand.Kind.allCases.map { ($0.rawValue, matrix.coordinator.refusedErrands[$0]) })
        }
        return page.text
    }
}

extension MetricsPage {
    private func addTURN(to page: inout PrometheusText) {
        let results = turn.monitor.latest
        page.gauges(
            "callbridge_turn_relay_reachable", "Whether a test allocation succeeded within the last minute.", "uri",
            results.map { ($0.uri, $0.success == nil ? 0 : 1) })
        page.gauges(
            "callbridge_turn_allocate_seconds", "How long the last successful test allocation took.", "uri",
            results.compactMap { result in
                result.success.map { (result.uri, Double($0.milliseconds) / 1_000) }
            })
        page.counters("callbridge_turn_refused_total", "Requests for TURN credentials refused.", turnRoutes.refusals)
        guard let rotator = turn.rotator else { return }
        page.counters(
            "callbridge_turn_rotation_total", "Steps of TURN secret rotations, and what stood in their way.",
            SecretRotator.Event.allCases.map { ($0.rawValue, rotator.events[$0]) })
    }
}

/// Writes one metric family after another.
struct PrometheusText {
    private(set) var text = ""

    mutating func gauge(_ name: String, _ help: String, _ value: Int) {
        head(name, help, type: "gauge")
        text += "\(name) \(value)\n"
    }

    mutating func counter(_ name: String, _ help: String, _ value: UInt64) {
        head(name, help, type: "counter")
        text += "\(name) \(value)\n"
    }

    mutating func counters(_ name: String, _ help: String, _ values: [(reason: String, value: UInt64)]) {
        head(name, help, type: "counter")
        for (reason, value) in values { text += "\(name){reason=\"\(reason)\"} \(value)\n" }
    }

    mutating func gauges(_ name: String, _ help: String, _ label: String, _ values: [(String, Double)]) {
        head(name, help, type: "gauge")
        for (text, value) in values { self.text += "\(name){\(label)=\"\(text)\"} \(value)\n" }
    }

    private mutating func head(_ name: String, _ help: String, type: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }
}
