// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import TURNCreds

/// coturn's userdb in Redis: the set `turn/realm/<realm>/secret`. A connection lives for one call.
struct RedisSecretStore: SecretStore {
    private static let timeLimitMilliseconds: UInt64 = 5_000

    private let endpoint: SecretStoreLocation.RedisEndpoint

    init(endpoint: SecretStoreLocation.RedisEndpoint) {
        self.endpoint = endpoint
    }

    func insert(_ secret: TURNSecret, realm: String) throws(SecretStoreError) {
        _ = try run("SADD", realm, secret)
    }

    func remove(_ secret: TURNSecret, realm: String) throws(SecretStoreError) {
        _ = try run("SREM", realm, secret)
    }

    func contains(_ secret: TURNSecret, realm: String) throws(SecretStoreError) -> Bool {
        try run("SISMEMBER", realm, secret) == 1
    }

    func count(realm: String) throws(SecretStoreError) -> Int {
        Int(clamping: try run("SCARD", realm, nil))
    }

    private func run(_ command: String, _ realm: String, _ secret: TURNSecret?) throws(SecretStoreError) -> Int64 {
        var commands: [[String]] = []
        if let password = endpoint.password?.exposed {
            commands.append(endpoint.user.map { ["AUTH", $0, password] } ?? ["AUTH", password])
        }
        if endpoint.database != 0 { commands.append(["SELECT", String(endpoint.database)]) }
        commands.append([command, "turn/realm/\(realm)/secret"] + (secret.map { [$0.exposed] } ?? []))
        let replies: [RESPReply]
        do throws(SocketFault) {
            replies = try exchange(commands)
        } catch {
            throw SecretStoreError(reason: .unreachable, text: error.description)
        }
        switch replies.last {
        case .integer(let number): return number
        case .error(let text): throw Self.error(text)
        default: throw SecretStoreError(reason: .other, text: "\(command) has an answer that is no number")
        }
    }

    /// The answers, up to the first error: what follows it would only fail for the same reason.
    private func exchange(_ commands: [[String]]) throws(SocketFault) -> [RESPReply] {
        let deadline = Deadline(after: Self.timeLimitMilliseconds)
        let socket = try TimedSocket(host: endpoint.host, port: endpoint.port, kind: .stream, by: deadline)
        var reader = RESPReader()
        var replies: [RESPReply] = []
        for command in commands {
            try socket.write(RESPReader.encoded(command), by: deadline)
            var reply = reader.next()
            while reply == nil {
                reader.receive(try socket.read(by: deadline))
                reply = reader.next()
                if reader.isBroken { throw .failed("this is no Redis server") }
            }
            guard let reply else { break }
            replies.append(reply)
            if case .error = reply { break }
        }
        return replies
    }

    /// The code alone: the rest of an error may quote the command, and with it the secret.
    private static func error(_ text: String) -> SecretStoreError {
        let code = text.prefix { $0.isASCII && $0.isLetter && $0.isUppercase }
        let reason: SecretStoreError.Reason =
            switch code {
            case "NOAUTH", "WRONGPASS", "NOPERM", "READONLY": .denied
            case "LOADING", "MASTERDOWN", "CLUSTERDOWN": .unreachable
            case "BUSY", "TRYAGAIN": .locked
            default: .other
            }
        return SecretStoreError(reason: reason, text: "Redis answers \(code)")
    }
}
