// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import OlmE2EE

/// What answers of a homeserver mean for the operator. Pure: answers in, findings out.
enum HomeserverVerdicts {
    typealias Answer = Result<HTTPClientResponse, HTTPClientError>

    /// Clocks further apart than this break calls: tokens are not valid yet, memberships expire early.
    static let maximumSkewSeconds: Int64 = 30

    /// `GET /_matrix/client/versions`; nil features when what answers is no homeserver.
    static func versions(_ answer: Answer, url: String) -> (findings: [DoctorFinding], features: Set<String>?) {
        let remedy =
            "set matrix.homeserver_url to the address at which the homeserver's client API listens, such as "
            + "http://127.0.0.1:8008, without a path"
        switch answer {
        case .failure(let error):
            return ([.fail("nothing answers at matrix.homeserver_url \(url): \(error)", remedy)], nil)
        case .success(let response):
            let body = try? JSONValue.parse(response.body)
            guard response.status == 200, body?["versions"]?.array != nil else {
                return (
                    [
                        .fail(
                            "what answers at matrix.homeserver_url \(url) is no Matrix client API (HTTP "
                                + "\(response.status) for /_matrix/client/versions)", remedy)
                    ], nil
                )
            }
            let features = (body?["unstable_features"]?.object ?? [:]).filter { $0.value.bool == true }
            return ([.ok("a homeserver answers at \(url)")], Set(features.keys))
        }
    }

    private static let wantedFeatures: [(feature: String, effect: String, setting: String)] = [
        (
            "org.matrix.msc4140", "clients cannot schedule their leave, so those that die stay in calls",
            "max_event_delay_duration: 24h"
        ),
        (
            "org.matrix.msc4354", "newer clients cannot announce themselves in calls",
            "msc4354_enabled: true below experimental_features"
        ),
        (
            "org.matrix.msc4143", "clients do not hear of this focus from the homeserver",
            "msc4143_enabled: true below experimental_features"
        ),
    ]

    static func features(_ features: Set<String>) -> [DoctorFinding] {
        let missing = wantedFeatures.filter { !features.contains($0.feature) }.map { wanted in
            DoctorFinding.fail(
                "the homeserver does not have \(wanted.feature) on: \(wanted.effect)",
                "add \(wanted.setting) to homeserver.yaml and restart the homeserver")
        }
        return missing.isEmpty ? [.ok("the homeserver has the features on that calls need")] : missing
    }

    /// The `Date` of an answer against our clock, both in seconds since 1970.
    static func clock(_ date: String?, ours: Int64) -> DoctorFinding {
        guard let theirs = date.flatMap(HTTPDate.unixSeconds) else {
            return .warn("the homeserver's clock is unknown: its answers have no Date", "")
        }
        let skew = theirs - ours
        guard skew.magnitude > maximumSkewSeconds.magnitude else {
            return .ok("the homeserver's clock agrees with ours")
        }
        return .fail(
            "the homeserver's clock is \(skew.magnitude) s \(skew > 0 ? "ahead of" : "behind") ours: tokens are "
                + "refused and memberships expire at the wrong time",
            "run a time service on both machines: timedatectl set-ntp true")
    }

    /// `GET /account/whoami` with a token.
    static func token(_ error: MatrixClientError?, registration: String, key: String) -> DoctorFinding {
        switch error {
        case nil: return .ok("the homeserver knows the as_token of registration \(registration)")
        case .refused(let refusal) where refusal.status == 401 || refusal.status == 403:
            return .fail(
                "the homeserver does not know the as_token of registration \(registration) "
                    + "(\(refusal.code.rawValue))",
                "list the file that \(key) names under app_service_config_files, the same file on both sides, and "
                    + "restart the homeserver")
        case .some(let error):
            return .fail("the homeserver does not say whether it knows our as_token: \(error)", "look at its log")
        }
    }

    /// The ping that the homeserver was asked to send us.
    static func ping(_ result: Result<Int64, MatrixClientError>, url: String) -> DoctorFinding {
        switch result {
        case .success(let milliseconds):
            return .ok("the homeserver reaches Callbridge at \(url) in \(milliseconds) ms")
        case .failure(.refused(let refusal)) where refusal.code.rawValue == "M_BAD_STATUS":
            return .fail(
                "the homeserver reaches something at the registration's url, which refuses its hs_token "
                    + "(\(refusal.message))",
                "give the homeserver the registration file that Callbridge uses, and restart it; is another program at "
                    + "\(url)?")
        case .failure(.refused(let refusal))
        where ["M_CONNECTION_FAILED", "M_CONNECTION_TIMEOUT"].contains(refusal.code.rawValue):
            return .fail(
                "the homeserver cannot reach the url of our registration (\(refusal.message)), so no event arrives",
                "start Callbridge; set url in the registration to where the homeserver reaches it (for us \(url)), "
                    + "and restart the homeserver")
        case .failure(.refused(let refusal)) where refusal.code.rawValue == "M_URL_NOT_SET":
            return .fail(
                "the registration has no url, so the homeserver sends no events",
                "set url to \(url) in the registration and restart the homeserver")
        case .failure(let error):
            return .fail("the homeserver could not ping us: \(error)", "look at its log")
        }
    }

    /// `POST /keys/query` about the bot.
    static func encryptedDevice(
        _ result: Result<[DeviceKeys], MatrixClientError>, of bot: UserID
    ) -> DoctorFinding {
        switch result {
        case .success(let devices):
            if let device = devices.first(where: \.isCrossSigned) {
                return .ok("the bot's device \(device.address.device) is cross-signed: it works in encrypted rooms")
            }
            return .warn(
                "the bot \(bot) has no cross-signed device, so it works in rooms without encryption only",
                "start Callbridge once; if its log then says that it gets no device, make the registration anew with "
                    + "`callbridge generate-registration --force`, so that it has io.element.msc4190, and restart "
                    + "the homeserver")
        case .failure(let error):
            return .warn(
                "the homeserver does not say which devices the bot \(bot) has: \(error)",
                "start Callbridge once, which makes the bot; then look again")
        }
    }

    /// `GET /_matrix/federation/v1/openid/userinfo` with a token that nobody made: 401 is the right answer.
    static func openID(_ answer: Answer, url: String) -> DoctorFinding {
        let remedy =
            "add openid to the resources of the listener at \(url) in homeserver.yaml, as in `names: [client, "
            + "federation, openid]`, and restart the homeserver"
        switch answer {
        case .failure(let error):
            return .fail("OpenID tokens cannot be verified at \(url): \(error)", remedy)
        case .success(let response) where response.status == 401:
            return .ok("OpenID tokens can be verified")
        case .success(let response):
            return .fail(
                "OpenID tokens cannot be verified at \(url): HTTP \(response.status) where 401 is right: nobody gets "
                    + "a token", remedy)
        }
    }

    /// A request of a browser to the token service, at the address that clients are told.
    static func crossOrigin(_ answer: Answer, url: String) -> DoctorFinding {
        switch answer {
        case .failure(let error):
            return .fail(
                "the token service cannot be reached at matrix.livekit_service_url \(url): \(error)",
                "point the reverse proxy at Callbridge; clients must reach that address")
        case .success(let response):
            guard response.status == 400, (try? JSONValue.parse(response.body))?["errcode"] != nil else {
                return .fail(
                    "something else answers at \(url)/sfu/get (HTTP \(response.status) where Callbridge says 400)",
                    "let the reverse proxy pass the path on to Callbridge, with or without the prefix")
            }
            let origins = response.headers("Access-Control-Allow-Origin")
            switch origins {
            case ["*"]: return .ok("browsers may use the token service at \(url)")
            case []:
                return .fail(
                    "answers of \(url) have lost Access-Control-Allow-Origin on their way, so browsers refuse them",
                    "stop the reverse proxy from hiding Access-Control-* of Callbridge (proxy_hide_header)")
            default:
                return .fail(
                    "answers of \(url) have Access-Control-Allow-Origin \(origins.joined(separator: " and ")), so "
                        + "browsers refuse them",
                    "let Callbridge alone send the header: remove it from the reverse proxy (add_header)")
            }
        }
    }

    /// `is_joined` with the second registration, about a room that does not exist.
    static func delegation(_ error: MatrixClientError?) -> DoctorFinding {
        switch error {
        case nil: return .ok("the second registration may ask who is joined to a room")
        case .refused(let refusal) where refusal.code == .unrecognized:
            return .fail(
                "the homeserver does not know is_joined (MSC4502), which the second registration is for",
                "add msc4502_enabled: true below experimental_features in homeserver.yaml and restart the homeserver")
        case .refused(let refusal) where refusal.status == 403:
            return .fail(
                "the second registration may not ask who is joined (\(refusal.message))",
                "generate it anew with `callbridge generate-registration --delegated FILE --force` and restart the "
                    + "homeserver")
        case .some(.refused), .some(.unexpectedAnswer):
            return .ok("the second registration may ask who is joined to a room")
        case .some(let error): return .warn("is_joined could not be asked: \(error)", "look at the homeserver's log")
        }
    }
}
