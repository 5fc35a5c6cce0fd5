// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// Compares what clients are told about call focuses with what this service is, and says in plain words what is wrong.
///
/// Clients ask the homeserver's transports endpoint first and then the well-known file of the user's server name
/// (MSC4143); the first entry of type `livekit` is used.
package struct DiscoveryCheck: Sendable {
    package struct Finding: Equatable, Sendable, CustomStringConvertible {
        package enum Severity: String, Sendable {
            case ok
            case warn
            case fail
        }

        package var severity: Severity
        package var text: String
        /// What to do; empty when all is well.
        package var remedy: String

        package var description: String {
            "\(severity.rawValue): \(text)" + (remedy.isEmpty ? "" : " — \(remedy)")
        }
    }

    /// What the transports endpoint said.
    enum Endpoint: Equatable {
        case transports([JSONValue])
        /// Not served by this homeserver.
        case absent
        case failed(String)
    }

    /// What the well-known file is.
    enum WellKnown: Equatable {
        case answer(HTTPClientResponse)
        case failed(String)
    }

    private let client: MatrixClient
    private let transport: any HTTPTransport
    private let server: ServerName
    private let bot: UserID
    private let setup: DiscoverySetup

    package init(
        client: MatrixClient, transport: any HTTPTransport, server: ServerName, bot: UserID, setup: DiscoverySetup,
    ) {
        self.client = client
        self.transport = transport
        self.server = server
        self.bot = bot
        self.setup = setup
    }

    /// Asks both places as a client would.
    package func run() async -> [Finding] {
        let endpoint: Endpoint
        do throws(MatrixClientError) {
            endpoint = .transports(try await client.rtcTransports(as: .init(userID: bot)))
        } catch .refused(let error) where error.status == 404 {
            endpoint = .absent
        } catch {
            endpoint = .failed(error.description)
        }
        var request = HTTPClientRequest(.get, "https://\(server)/.well-known/matrix/client")
        request.headers = [HTTPClientField("Origin", "https://call.invalid")]
        request.maximumRedirects = 5
        let wellKnown: WellKnown
        do throws(HTTPClientError) {
            wellKnown = .answer(try await transport.send(request))
        } catch {
            wellKnown = .failed(error.description)
        }
        return Self.findings(endpoint: endpoint, wellKnown: wellKnown, server: server, setup: setup)
    }

    /// The verdict on both places.
    static func findings(
        endpoint: Endpoint, wellKnown: WellKnown, server: ServerName, setup: DiscoverySetup,
    ) -> [Finding] {
        let file = judge(wellKnown, server: server, setup: setup)
        return [judge(endpoint, fileIsRight: file.allSatisfy { $0.severity == .ok }, setup: setup)] + file
    }

    private static func judge(_ endpoint: Endpoint, fileIsRight: Bool, setup: DiscoverySetup) -> Finding {
        let place = "the homeserver's transports endpoint"
        switch endpoint {
        case .absent:
            return Finding(
                severity: fileIsRight ? .ok : .warn, text: "\(place) is off; clients fall back to the well-known file",
                remedy: fileIsRight ? "" : "add matrix_rtc.transports and msc4143_enabled to homeserver.yaml")
        case .failed(let problem):
            return Finding(
                severity: .warn, text: "\(place) could not be asked: \(problem)",
                remedy: "check the homeserver's address and token")
        case .transports(let transports) where transports.isEmpty:
            return Finding(
                severity: .fail,
                text: "\(place) is on and lists nothing, which stops clients before the well-known file",
                remedy:
                    "add \(setup.serviceURL) to matrix_rtc.transports in homeserver.yaml, or turn msc4143_enabled off")
        case .transports(let transports):
            return judge(transports, in: place, setup: setup)
        }
    }

    private static func judge(_ wellKnown: WellKnown, server: ServerName, setup: DiscoverySetup) -> [Finding] {
        let place = "https://\(server)/.well-known/matrix/client"
        let response: HTTPClientResponse
        switch wellKnown {
        case .failed(let problem):
            return [
                Finding(
                    severity: .fail, text: "\(place) could not be fetched: \(problem)",
                    remedy: "serve the file over https with a valid certificate")
            ]
        case .answer(let answer): response = answer
        }
        guard response.status == 200, let body = try? JSONValue.parse(response.body), body.object != nil else {
            return [
                Finding(
                    severity: .fail, text: "\(place) answers HTTP \(response.status) without a JSON object",
                    remedy: "serve a JSON object there")
            ]
        }
        var findings: [Finding] = []
        let origins = response.headers("Access-Control-Allow-Origin")
        if origins != ["*"] {
            let count = origins.count == 1 ? "the value \(origins[0])" : "\(origins.count) values"
            findings.append(
                Finding(
                    severity: .fail,
                    text: "\(place) has \(count) for Access-Control-Allow-Origin, so browsers refuse to read it",
                    remedy: "send the header exactly once, with the value *"))
        }
        if response.header("Content-Type")?.lowercased().hasPrefix("application/json") != true {
            findings.append(
                Finding(
                    severity: .warn, text: "\(place) is not served as application/json",
                    remedy: "set the content type"))
        }
        guard let foci = body["org.matrix.msc4143.rtc_foci"]?.array else {
            let member = String(decoding: setup.wellKnownMember.compactJSON, as: UTF8.self)
            findings.append(
                Finding(
                    severity: .fail, text: "\(place) has no list org.matrix.msc4143.rtc_foci",
                    remedy: "merge \(member) into it"))
            return findings
        }
        findings.append(judge(foci, in: place, setup: setup))
        return findings
    }

    private static func judge(_ foci: [JSONValue], in place: String, setup: DiscoverySetup) -> Finding {
        let urls = foci.filter { $0["type"]?.string == "livekit" }.map { focus in
            let url = focus["livekit_service_url"]?.string ?? ""
            return url.hasSuffix("/") ? String(url.dropLast()) : url
        }
        guard let first = urls.first else {
            return Finding(
                severity: .fail, text: "\(place) lists no focus of type livekit",
                remedy: "add one with livekit_service_url \(setup.serviceURL)")
        }
        if first == setup.serviceURL {
            return Finding(severity: .ok, text: "\(place) names this focus", remedy: "")
        }
        if urls.contains(setup.serviceURL) {
            return Finding(
                severity: .warn, text: "\(place) names this focus, but clients use \(first), which stands before it",
                remedy: "put \(setup.serviceURL) first")
        }
        return Finding(
            severity: .fail, text: "\(place) names \(first), not this focus",
            remedy: "set livekit_service_url to \(setup.serviceURL)")
    }
}
