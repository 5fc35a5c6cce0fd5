// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Foundation

/// What `load-test --samples` writes: one line of CSV for each sampled packet, in the order in which they were read.
final class SampleFile {
    /// Written at once; a write for each line would be work beside the load.
    private static let blockBytes = 1 << 16

    private let path: String
    private let handle: FileHandle
    private var block = Data()
    private var hasFailed = false

    init(path: String) throws(Termination) {
        self.path = path
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let handle = FileHandle(forWritingAtPath: path)
        else { throw Self.unwritable(path) }
        self.handle = handle
        block.append(contentsOf: "departure,delay\n".utf8)
    }

    func add(_ sample: LatencySample) {
        block.append(contentsOf: "\(sample.departure),\(sample.delay)\n".utf8)
        if block.count >= Self.blockBytes { write() }
    }

    /// Writes what is left, and tells if anything could not be.
    func finish() throws(Termination) {
        write()
        try? handle.close()
        if hasFailed { throw Self.unwritable(path) }
    }

    private func write() {
        if !hasFailed { hasFailed = (try? handle.write(contentsOf: block)) == nil }
        block.removeAll(keepingCapacity: true)
    }

    private static func unwritable(_ path: String) -> Termination {
        Termination(.failure, cause: "the file cannot be written", source: "--samples \(path)", fix: "another place")
    }
}
