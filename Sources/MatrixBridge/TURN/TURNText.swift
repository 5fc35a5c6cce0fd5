// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Foundation
import TURNCreds

/// The results of ``TURNAdministration`` for people and, as JSON, for machines. No secret is in either.
enum TURNText {
    static func status(_ status: TURNAdministration.Status) -> String {
        var lines = status.realms.flatMap(realm)
        if !status.fixed.isEmpty {
            lines += ["not replaced by Callbridge, because the secret or password is a static one of the server:"]
            lines += status.fixed.map { "  \($0)" }
        }
        lines += status.servers.map(test)
        return lines.isEmpty ? "no TURN server is configured (rtc.turn_servers)" : lines.joined(separator: "\n")
    }

    static func test(_ result: TURNProbeResult) -> String {
        switch result.outcome {
        case .failure(let fault):
            return "FAIL \(result.uri): \(fault.cause)"
        case .success(let success):
            let relaying =
                switch success.relaying {
                case .proved: "data relayed both ways"
                case .refused(let cause): "data not tried between two relays (\(cause))"
                case .lost: "data sent through it is lost: are the relay ports open?"
                }
            let word = success.relaying == .lost ? "FAIL" : "ok  "
            return "\(word) \(result.uri): relay \(success.relayed) in \(success.milliseconds) ms, \(relaying)"
        }
    }

    static func finding(_ finding: ForbiddenRelays.Finding) -> String {
        switch finding.outcome {
        case .refused(let cause): "ok   \(finding.uri): \(finding.target) refused (\(cause))"
        case .allowed: "FAIL \(finding.uri): \(finding.target) is relayed to"
        case .unknown(let fault): "FAIL \(finding.uri): \(finding.target) not known: \(fault.cause)"
        }
    }

    static func json(_ status: TURNAdministration.Status) -> JSONValue {
        .object([
            "realms": .array(status.realms.map(json)), "servers": .array(status.servers.map(json)),
            "static": .array(status.fixed.map(JSONValue.string)),
        ])
    }

    static func json(_ result: TURNProbeResult) -> JSONValue {
        switch result.outcome {
        case .failure(let fault):
            .object(["uri": .string(result.uri), "works": .bool(false), "cause": .string(fault.cause)])
        case .success(let success):
            .object([
                "uri": .string(result.uri), "works": .bool(success.relaying != .lost),
                "relayed": .string(success.relayed.description),
                "milliseconds": .integer(Int64(clamping: success.milliseconds)),
                "data_relayed": .bool(success.relaying == .proved),
            ])
        }
    }

    private static func realm(_ report: TURNRealmReport) -> [String] {
        var lines = ["realm \(report.realm.name)  \(report.realm.location)"]
        for kept in report.ring.secrets {
            var line = "  secret \(kept.id)  \(age(report.now - kept.created)) old  "
            switch kept.phase {
            case .adding: line += "being added"
            case .current: line += "in use, credentials live up to \(age(kept.longestLifetime))"
            case .retiring(let until): line += "replaced, removed \(date(until))"
            }
            lines.append(line + (report.missing.contains(kept.id) ? ", MISSING in the store" : ""))
        }
        switch report.stored {
        case .success(let count):
            let others = count - report.ring.valid(at: report.now).count + report.missing.count
            lines.append(
                "  store: \(count) secrets" + (others > 0 ? ", \(others) that are not in use by Callbridge" : ""))
        case .failure(let error):
            lines.append("  store: FAIL \(error); fix: \(error.fix)")
        }
        if let failure = report.failure { lines.append("  FAIL \(failure.cause); fix: \(failure.fix)") }
        if let interval = report.realm.rotationSeconds, let current = report.ring.current {
            lines.append("  next rotation: \(date(current.created + interval))")
        } else {
            lines.append("  next rotation: none planned")
        }
        return lines
    }

    private static func json(_ report: TURNRealmReport) -> JSONValue {
        var members: JSONObject = [
            "realm": .string(report.realm.name), "store": .string(report.realm.location),
            "secrets": .array(
                report.ring.secrets.map { kept in
                    var secret: JSONObject = [
                        "id": .string(kept.id), "phase": .string(kept.phase.name),
                        "age_seconds": .integer(report.now - kept.created),
                        "in_store": .bool(!report.missing.contains(kept.id)),
                    ]
                    if let until = kept.retiringUntil { secret["removed_at"] = .integer(until) }
                    return .object(secret)
                }),
        ]
        switch report.stored {
        case .success(let count): members["stored_secrets"] = .integer(Int64(count))
        case .failure(let error): members["store_error"] = .string(error.description)
        }
        if let failure = report.failure { members["failure"] = .string(failure.cause) }
        return .object(members)
    }

    static func date(_ unixSeconds: Int64) -> String {
        Date(timeIntervalSince1970: TimeInterval(unixSeconds)).formatted(.iso8601)
    }

    /// The largest unit of which there are two.
    static func age(_ seconds: Int64) -> String {
        switch seconds {
        case ..<120: "\(max(0, seconds)) s"
        case ..<7_200: "\(seconds / 60) min"
        case ..<172_800: "\(seconds / 3_600) h"
        default: "\(seconds / 86_400) d"
        }
    }
}
