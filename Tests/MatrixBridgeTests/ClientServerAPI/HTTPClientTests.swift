// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Foundation
import MatrixBridge
import NIOConcurrencyHelpers
import NIOHTTP1
import NIOPosix
import Testing

@Suite("HTTP client over libcurl")
struct HTTPClientTests {
    let client = HTTPClient()

    /// Runs `body` against a server of our own on loopback.
    static func serving(
        _ setUp: (inout HTTPRouter) -> Void, _ body: (String) async throws -> Void,
    ) async throws {
        var router = HTTPRouter()
        setUp(&router)
        let server = try await HTTPServer.bind(
            HTTPServerConfiguration(addresses: ["127.0.0.1"], port: 0), router: router,
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            try await body("http://127.0.0.1:\(server.port)")
            group.cancelAll()
        }
    }

    @Test("method, path, fields and body arrive, and the answer comes back whatever its status")
    func roundTrip() async throws {
        try await Self.serving { router in
            router.onAny("/a/:x") { request, parameters in
                HTTPResponse(
                    status: .imATeapot,
                    headers: [
                        "X-Method": request.method.rawValue, "X-Part": parameters["x"] ?? "",
                        "X-Field": request.headers.first(name: "X-Mine") ?? "",
                    ],
                    body: request.body)
            }
        } _: { base in
            for (method, body) in [
                (HTTPClientRequest.Method.put, [1, 0, 255]), (.post, nil), (.get, nil), (.post, []),
            ]
                as [(HTTPClientRequest.Method, [UInt8]?)]
            {
                var request = HTTPClientRequest(method, base + "/a/%2Fx%3F")
                request.headers = [HTTPClientField("X-Mine", "yes")]
                request.body = body
                let response = try await client.send(request)
                #expect(response.status == 418)
                #expect(response.header("x-method") == method.rawValue)
                #expect(response.header("x-part") == "/x?")
                #expect(response.header("x-field") == "yes")
                #expect(response.body == body ?? [])
            }
        }
    }

    @Test("a body over the limit is refused, one at the limit is not")
    func bodyLimit() async throws {
        try await Self.serving { router in
            router.on(.GET, "/") { _, _ in HTTPResponse(status: .ok, body: [UInt8](repeating: 7, count: 100_000)) }
        } _: { base in
            var request = HTTPClientRequest(.get, base + "/")
            request.maximumBodyByteCount = 100_000
            let response = try await client.send(request)
            #expect(response.body.count == 100_000)
            request.maximumBodyByteCount = 99_999
            await #expect(throws: HTTPClientError.bodyTooLarge(limit: 99_999)) { try await client.send(request) }
        }
    }

    @Test("private addresses are refused for requests that must stay public, by literal and by name")
    func addresses() async throws {
        try await Self.serving { router in
            router.on(.GET, "/") { _, _ in .empty(.ok) }
        } _: { base in
            // An unguarded request leaves an open connection behind that must not be reused.
            let unguarded = try await client.send(HTTPClientRequest(.get, base + "/"))
            #expect(unguarded.status == 200)
            for url in [base, base.replacing("127.0.0.1", with: "localhost")] {
                var request = HTTPClientRequest(.get, url + "/")
                request.addresses = .publicOnly
                await #expect(throws: HTTPClientError.addressRefused) { try await client.send(request) }
            }
        }
    }

    @Test("redirects are not followed unless asked, and never to plain http")
    func redirects() async throws {
        try await Self.serving { router in
            router.on(.GET, "/") { _, _ in HTTPResponse(status: .found, headers: ["Location": "/b"]) }
            router.on(.GET, "/b") { _, _ in .empty(.ok) }
        } _: { base in
            var request = HTTPClientRequest(.get, base + "/")
            let response = try await client.send(request)
            #expect(response.status == 302)
            request.maximumRedirects = 3
            await #expect(throws: HTTPClientError.self) { try await client.send(request) }
        }
    }

    @Test("an answer that does not come in time is a timeout; cancelling ends the wait")
    func waiting() async throws {
        try await Self.serving { router in
            router.on(.GET, "/never") { _, _ in
                try? await Task.sleep(for: .seconds(60))
                return .empty(.ok)
            }
        } _: { base in
            var request = HTTPClientRequest(.get, base + "/never")
            request.timeoutMilliseconds = 50
            await #expect(throws: HTTPClientError.timedOut) { try await client.send(request) }
            request.timeoutMilliseconds = 60_000
            let waiting = Task { [client, request] () async -> HTTPClientError? in
                do throws(HTTPClientError) {
                    _ = try await client.send(request)
                    return nil
                } catch {
                    return error
                }
            }
            waiting.cancel()
            #expect(await waiting.value == .cancelled)
        }
    }

    @Test("many at once are all answered, over kept connections")
    func many() async throws {
        try await Self.serving { router in
            router.on(.GET, "/:n") { _, parameters in .text(parameters["n"] ?? "") }
        } _: { base in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<200 {
                    group.addTask { [client] in
                        let response = try await client.send(HTTPClientRequest(.get, "\(base)/\(number)"))
                        return response.body == Array("\(number)".utf8)
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
        }
    }

    @Test("more transfers than allowed are refused as overload")
    func overload() async throws {
        try await Self.serving { router in
            router.on(.GET, "/never") { _, _ in
                try? await Task.sleep(for: .seconds(60))
                return .empty(.ok)
            }
        } _: { base in
            var configuration = HTTPClient.Configuration()
            configuration.maximumTransfers = 2
            let client = HTTPClient(configuration: configuration)
            let outcomes = await withTaskGroup(of: HTTPClientError?.self) { group in
                for _ in 0..<3 {
                    group.addTask {
                        do throws(HTTPClientError) {
                            _ = try await client.send(HTTPClientRequest(.get, base + "/never"))
                            return nil
                        } catch {
                            return error
                        }
                    }
                }
                let first = await group.next() ?? nil
                group.cancelAll()
                var rest: [HTTPClientError?] = []
                for await outcome in group { rest.append(outcome) }
                return [first] + rest
            }
            #expect(outcomes == [.overloaded, .cancelled, .cancelled])
        }
    }

    @Test(
        "what cannot be sent says so",
        arguments: [
            "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/", "http://", "nonsense://x",
        ])
    func schemes(url: String) async {
        let error = await #expect(throws: HTTPClientError.self) {
            try await client.send(HTTPClientRequest(.get, url))
        }
        guard case .invalidRequest? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("a line break in a field is refused")
    func fieldInjection() async {
        var request = HTTPClientRequest(.get, "http://127.0.0.1:1/")
        request.headers = [HTTPClientField("X", "a\r\nEvil: b")]
        await #expect(throws: HTTPClientError.invalidRequest("an option was refused")) {
            try await client.send(request)
        }
    }

    @Test("nobody listens: the connection fails, without the URL in the text")
    func refused() async {
        let error = await #expect(throws: HTTPClientError.self) {
            try await client.send(HTTPClientRequest(.get, "http://127.0.0.1:1/?access_token=secret"))
        }
        #expect(error?.description.contains("secret") == false)
    }

    @Test("the system's resolver answers for a name without service records")
    func resolver() async throws {
        #expect(try await SystemSRVResolver().records(of: "_matrix-fed._tcp.name.invalid").isEmpty)
    }
}

@Suite("F10: certificates of homeservers", .enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/openssl")))
struct HomeserverCertificateTests {
    /// `openssl s_server` with a certificate of its own making, serving one file as the answer.
    final class SelfSignedServer: Sendable {
        let folder: TemporaryDatabase
        let port: Int
        private let process: Foundation.Process

        init() async throws {
            folder = try TemporaryDatabase()
            let path = folder.folder.appendingPathComponent("_matrix/federation/v1/openid")
            try FileManager.default.createDirectory(at: path, withIntermediateDirectories: true)
            try Data("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"sub\":\"@alice:example.com\"}".utf8)
                .write(to: path.appendingPathComponent("userinfo?access_token=tok"))
            let certificate = Self.openssl(
                "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=localhost",
                in: folder)
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                certificate.terminationHandler = { _ in continuation.resume() }
                do {
                    try certificate.run()
                } catch {
                    certificate.terminationHandler = nil
                    continuation.resume(throwing: error)
                }
            }
            process = Self.openssl("s_server -accept 0 -cert cert.pem -key key.pem -HTTP", in: folder)
            let output = Pipe()
            process.standardOutput = output
            let (chunks, chunk) = AsyncStream.makeStream(of: Data.self)
            output.fileHandleForReading.readabilityHandler = { handle in
                let data = handle.availableData
                if data.isEmpty { chunk.finish() } else { chunk.yield(data) }
            }
            try process.run()
            // It prints "ACCEPT [::]:port" as soon as it listens.
            var text = ""
            for await data in chunks {
                text += String(decoding: data, as: UTF8.self)
                if text.contains("ACCEPT"), text.hasSuffix("\n") { break }
            }
            output.fileHandleForReading.readabilityHandler = nil
            port = text.split(whereSeparator: { !$0.isNumber }).last.flatMap { Int($0) } ?? 0
        }

        deinit {
            process.terminate()
        }

        private static func openssl(_ arguments: String, in folder: TemporaryDatabase) -> Foundation.Process {
            let process = Foundation.Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
            process.currentDirectoryURL = folder.folder
            process.arguments = arguments.split(separator: " ").map(String.init)
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            return process
        }
    }

    static func verifier(_ server: SelfSignedServer, verifiesCertificates: Bool) -> OpenIDVerifier {
        var configuration = HTTPClient.Configuration()
        configuration.verifiesCertificates = verifiesCertificates
        let client = HTTPClient(configuration: configuration)
        return OpenIDVerifier(
            transport: client, federation: client,
            discovery: ServerDiscovery(
                transport: client, resolver: FakeResolver(), serversOnPrivateAddresses: [],
                now: ManualClock().clock.monotonic),
            localServer: FakeHomeserver.local, localBaseURL: "https://localhost:\(server.port)")
    }

    @Test("a self-signed homeserver is 401, unless verification is switched off explicitly")
    func selfSigned() async throws {
        let server = try await SelfSignedServer()
        let token = TokenRequest.OpenIDToken(accessToken: "tok", server: FakeHomeserver.local)
        let refusal = await #expect(throws: TokenExchangeRefusal.self) {
            try await Self.verifier(server, verifiesCertificates: true).verify(token)
        }
        #expect(refusal?.reason == .lookupFailed)
        #expect(refusal?.matrixError.status == 401)
        #expect(
            try await Self.verifier(server, verifiesCertificates: false).verify(token)
                == Identifier.user("@alice:example.com"))
    }
}
