// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A session description read with nothing but string operations, as independent of the product's parser as can be.
struct SessionText {
    struct Section {
        var media: String
        var lines: [String]

        var kind: String { media.split(separator: " ").first.map { String($0.dropFirst(2)) } ?? "" }
        var formats: [String] { media.split(separator: " ").dropFirst(3).map(String.init) }
        var isRejected: Bool { media.split(separator: " ").dropFirst().first == "0" }
        var mid: String { value("mid") ?? "" }
        var direction: String {
            ["sendonly", "recvonly", "inactive", "sendrecv"].first { lines.contains("a=\($0)") } ?? "sendrecv"
        }

        /// The second word of `a=msid`.
        var track: String? { value("msid")?.split(separator: " ").last.map(String.init) }

        /// Media and, with an FID group, retransmission SSRC.
        var ssrcs: [UInt32] {
            if let group = values("ssrc-group").first { return group.split(separator: " ").compactMap { UInt32($0) } }
            return values("ssrc").prefix(1).compactMap { UInt32($0.split(separator: " ")[0]) }
        }

        func value(_ name: String) -> String? { values(name).first }

        func values(_ name: String) -> [String] {
            lines.filter { $0.hasPrefix("a=\(name):") }.map { String($0.dropFirst(name.utf8.count + 3)) }
        }
    }

    var session: [String] = []
    var sections: [Section] = []

    init(_ text: String) {
        for line in text.split(whereSeparator: \.isNewline).map(String.init) {
            if line.hasPrefix("m=") {
                sections.append(Section(media: line, lines: []))
            } else if sections.isEmpty {
                session.append(line)
            } else {
                sections[sections.count - 1].lines.append(line)
            }
        }
    }

    /// An attribute of the transport, from wherever it stands first.
    func transportValue(_ name: String) -> String? {
        Section(media: "", lines: session).value(name) ?? sections.lazy.compactMap { $0.value(name) }.first
    }
}
