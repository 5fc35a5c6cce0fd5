// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Foundation
import Testing

@testable import CallEvents

/// Numbers that repeat for a seed (SplitMix64).
private struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        self.state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

@Suite("Hostile events")
struct HostileEventTests {
    /// Values that break assumptions about kind, size and sign.
    private static let oddValues: [JSONValue] = [
        .null, .bool(true), .integer(-1), .integer(.max), .integer(.min), .integer(EventTime.maximum), .number(1e308),
        .number(-0.5), .string(""), .string("join"), .string("@a:h"), .string("#"), .string("\u{0}\u{202E}"),
        .string(String(repeating: "x", count: 300)), .array([]), .array([.null, .object([:])]), .object([:]),
    ]

    private static func mutated(_ value: JSONValue, _ generator: inout SeededGenerator) -> JSONValue {
        switch value {
        case .object(var members) where !members.isEmpty && Int.random(in: 0..<8, using: &generator) > 0:
            let key = members.keys.sorted()[Int.random(in: 0..<members.count, using: &generator)]
            switch Int.random(in: 0..<8, using: &generator) {
            case 0: members[key] = nil
            case 1: members[key + "x"] = members.removeValue(forKey: key)
            default: members[key] = members[key].map { mutated($0, &generator) }
            }
            return .object(members)
        case .array(var elements) where !elements.isEmpty && Int.random(in: 0..<4, using: &generator) > 0:
            let index = Int.random(in: 0..<elements.count, using: &generator)
            elements[index] = mutated(elements[index], &generator)
            return .array(elements)
        default:
            return oddValues[Int.random(in: 0..<oddValues.count, using: &generator)]
        }
    }

    /// What a fuzz target does with bytes.
    private static func feed(_ bytes: [UInt8], _ roster: inout CallRoster, at now: UnixMilliseconds) {
        guard let json = try? JSONValue.parse(bytes) else { return }
        _ = CallKeyContent.decode(type: CallKeyContent.deployedEventType, content: json)
        guard case .success(let event) = RoomEvent.decode(json) else { return }
        _ = roster.apply(event, at: now)
        if let next = roster.nextExpiry, next <= now { _ = roster.expire(at: now) }
    }

    @Test(
        "mutated values are decoded or refused, and the roster stays consistent",
        arguments: 1...20 as ClosedRange<UInt64>)
    func mutations(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var roster = CallRoster()
        let originals = try (EventSamples.every + [EventSamples.toDeviceKey]).map { try EventSamples.json($0) }
        var started: Set<RosterCallID> = []
        for step in 0..<1500 {
            var value = originals[Int.random(in: 0..<originals.count, using: &generator)]
            for _ in 0..<Int.random(in: 0..<4, using: &generator) { value = Self.mutated(value, &generator) }
            _ = CallKeyContent.decode(type: CallKeyContent.deployedEventType, content: value)
            guard case .success(let event) = RoomEvent.decode(value) else { continue }
            let now = EventSamples.now + Int64(step) * 10_000
            var changes = roster.apply(event, at: now)
            changes += roster.expire(at: now)
            for change in changes {
                if case .callStarted(let call) = change { #expect(started.insert(call).inserted, "seed \(seed)") }
                if case .callEnded(let call) = change { #expect(started.remove(call) != nil, "seed \(seed)") }
            }
            #expect(Set(roster.calls.map(\.id)) == started, "seed \(seed)")
            #expect(roster.nextExpiry.map { $0 > now } ?? true, "seed \(seed)")
        }
        _ = roster.expire(at: .max)
        #expect(roster.size.memberships == 0, "seed \(seed)")
    }

    @Test("every truncation of every shape is refused", arguments: EventSamples.every + [EventSamples.toDeviceKey])
    func truncations(_ text: String) {
        let bytes = Array(text.utf8)
        let end = bytes.lastIndex(of: UInt8(ascii: "}")) ?? 0
        for length in 0..<end {
            #expect(throws: JSONRefusal.self) { try JSONValue.parse(Array(bytes[..<length])) }
        }
    }

    @Test("changed bytes never trap", arguments: 1...10 as ClosedRange<UInt64>)
    func bytes(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var roster = CallRoster()
        let samples = EventSamples.every + [EventSamples.toDeviceKey]
        for _ in 0..<1000 {
            var bytes = Array(samples[Int.random(in: 0..<samples.count, using: &generator)].utf8)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            Self.feed(bytes, &roster, at: EventSamples.now)
        }
    }

    @Test("extreme times of the caller and of the event never overflow")
    func extremeTimes() throws {
        for now in [UnixMilliseconds.min, -1, 0, .max] {
            for time in [0, EventTime.maximum] {
                for duration in [0, EventTime.maximum] {
                    var roster = CallRoster()
                    for text in [
                        EventSamples.draft(time: time, sticky: duration),
                        EventSamples.session(createdAt: time, expires: duration),
                    ] {
                        _ = roster.apply(try EventSamples.event(text), at: now)
                        _ = roster.expire(at: now)
                    }
                    let invite = try EventSamples.event(
                        EventSamples.legacy("invite", #""offer":{"type":"offer","sdp":""},"lifetime":\#(duration)"#))
                    guard case .legacy(.invite(let call)) = CallEvent.decode(invite) else { continue }
                    #expect(call.remainingLifetime(at: now) >= 0)
                }
            }
        }
    }

    @Test("the fuzzer's seeds hold every shape, and each of them is read")
    func seeds() throws {
        let project = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let folder = project.appendingPathComponent("Fuzz/Corpus/RoomEvent")
        var read: Set<String> = []
        for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil) {
            for line in try Data(contentsOf: file).split(separator: UInt8(ascii: "\n")) {
                guard let json = try? JSONValue.parse(Array(line)) else { continue }
                if case .success = CallKeyContent.decode(type: CallKeyContent.deployedEventType, content: json) {
                    read.insert(CallKeyContent.deployedEventType)
                }
                guard case .success(let event) = RoomEvent.decode(json) else { continue }
                if case .refused = CallEvent.decode(event) { continue }
                read.insert(event.type)
            }
        }
        let types = try EventSamples.every.map { try EventSamples.event($0).type }
        #expect(read.isSuperset(of: Set(types).union([CallKeyContent.deployedEventType])))
    }

    @Test("each reason has one name")
    func reasons() {
        #expect(Set(EventRefusal.allCases.map(\.rawValue)).count == EventRefusal.allCases.count)
        #expect(Set(JSONRefusal.allCases.map(\.rawValue)).count == JSONRefusal.allCases.count)
    }
}
