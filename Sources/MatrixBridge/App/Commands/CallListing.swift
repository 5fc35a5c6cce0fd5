// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Foundation

/// The running calls as `callbridge calls` prints them.
struct CallListing {
    private let calls: [RosterCall]
    private let now: UnixMilliseconds

    init(_ calls: [RosterCall], at now: UnixMilliseconds) {
        self.calls = calls
        self.now = now
    }

    // MARK: Table

    private static let header = ["ROOM", "SINCE", "GENERATION", "MEMBER", "DEVICE", "INTENT", "FOCUS"]

    /// One line a member; room and start stand at the first one.
    var table: String {
        guard !calls.isEmpty else { return "no calls" }
        var rows = [Self.header]
        for call in calls {
            for (index, member) in call.members.enumerated() {
                let first = index == 0
                rows.append(
                    [
                        first ? room(of: call) : "", first ? since(call.startedAt) : "",
                        Self.word(member.membership.generation), member.membership.sender.rawValue,
                        member.membership.deviceID?.rawValue ?? "-", member.membership.intent?.rawValue ?? "-",
                        call.transport(of: member).map(Self.text(of:)) ?? "-",
                    ].map(Self.printable))
            }
        }
        let widths = Self.header.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.map { row in
            let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
            return String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
        }
        let members = calls.map(\.members.count).reduce(0, +)
        let sum = "\(Self.count(calls.count, "call")), \(Self.count(members, "member"))"
        return (lines + [sum]).joined(separator: "\n")
    }

    private static func count(_ number: Int, _ noun: String) -> String {
        "\(number) \(noun)" + (number == 1 ? "" : "s")
    }

    /// The slot only where it is not the room's usual call.
    private func room(of call: RosterCall) -> String {
        call.id.slotID == .roomCall ? call.id.roomID.rawValue : "\(call.id.roomID) \(call.id.slotID)"
    }

    private func since(_ start: UnixMilliseconds) -> String {
        let minutes = max(0, now &- start) / 60_000
        let length = minutes < 60 ? "\(minutes) min" : "\(minutes / 60) h \(minutes % 60) min"
        return "\(Self.time(start)) (\(length))"
    }

    /// What people wrote into events must not steer the terminal: controls and marks of direction become `?`.
    private static func printable(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { scalar in
                    switch scalar.properties.generalCategory {
                    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned: "?"
                    default: scalar
                    }
                }))
    }

    // MARK: JSON

    /// `{"calls": […]}`; times are milliseconds since 1970-01-01 UTC, what is not known is null.
    var json: String {
        let document = JSONValue.object([
            "calls": .array(
                calls.map { call in
                    .object([
                        "room_id": .string(call.id.roomID.rawValue), "slot_id": .string(call.id.slotID.description),
                        "since": .integer(call.startedAt), "generation": .string(Self.word(call.generation)),
                        "intent": Self.value(call.intent?.rawValue),
                        "members": .array(call.members.map { Self.value($0, in: call) }),
                    ])
                })
        ])
        return String(decoding: document.compactJSON, as: UTF8.self)
    }

    private static func value(_ member: RosterMember, in call: RosterCall) -> JSONValue {
        let membership = member.membership
        return .object([
            "user_id": .string(membership.sender.rawValue), "device_id": value(membership.deviceID?.rawValue),
            "member_id": .string(membership.memberID), "generation": .string(word(membership.generation)),
            "intent": value(membership.intent?.rawValue), "joined_at": .integer(member.joinedAt),
            "expires_at": .integer(member.expiresAt), "focus": value(call.transport(of: member).map(text(of:))),
        ])
    }

    private static func value(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }

    // MARK: Words

    private static func word(_ generation: RTCMembership.Generation) -> String {
        switch generation {
        case .sessionState: "state"
        case .stickyDraft: "sticky draft"
        case .sticky: "sticky"
        }
    }

    private static func text(of transport: RTCTransport) -> String {
        switch transport {
        case .liveKitService(let url, _), .liveKitSFU(let url): url
        case .other(let type): type
        }
    }

    private static func time(_ milliseconds: UnixMilliseconds) -> String {
        let date = Date(timeIntervalSince1970: Double(milliseconds / 1_000))
        let style = Date.ISO8601FormatStyle.iso8601.year().month().day().dateTimeSeparator(.space)
        return date.formatted(style.time(includingFractionalSeconds: false)) + "Z"
    }
}
