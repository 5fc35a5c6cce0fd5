// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc

/// Pages of files, most of them code, that only the start needed.
enum StartUpPages {
    /// Takes them out of memory; what is needed again comes back from the file, mostly from the system's cache of it.
    ///
    /// Reading configuration, looking up types and starting libraries touches two thirds of the program, and nothing
    /// else would ever give that memory back to the machine. Only mappings that cannot be written and of which the
    /// process has no page of its own are given back, so nothing is lost.
    static func release() {
        guard let table = fopen("/proc/self/smaps", "re") else { return }
        defer { fclose(table) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        var mapping: FileMapping?
        while getline(&line, &capacity, table) > 0, let line {
            let fields = String(cString: line).split(whereSeparator: \.isWhitespace)
            if let next = FileMapping(fields) {
                mapping?.releaseIfClean()
                mapping = next
            } else {
                mapping?.note(fields)
            }
        }
        mapping?.releaseIfClean()
    }
}

/// One entry of `/proc/self/smaps`, proc(5).
private struct FileMapping {
    private let start: UInt
    private let end: UInt
    private let isReadOnlyFile: Bool
    /// Kilobytes of pages that differ from the file's, in memory and swapped out.
    private var ownKilobytes = 0

    /// - Parameter fields: of the entry's first line: addresses, access, offset, device, inode, path. Nil for others.
    init?(_ fields: [Substring]) {
        guard fields.count >= 5 else { return nil }
        let bounds = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
        guard bounds.count == 2, bounds[0] < bounds[1] else { return nil }
        (start, end) = (bounds[0], bounds[1])
        isReadOnlyFile = ["r--p", "r-xp"].contains(fields[1]) && fields.count > 5 && fields[5].hasPrefix("/")
    }

    mutating func note(_ fields: [Substring]) {
        guard fields.count > 1, ["Anonymous:", "Swap:"].contains(fields[0]) else { return }
        // What cannot be read counts as one of its own.
        ownKilobytes += Int(fields[1]) ?? 1
    }

    func releaseIfClean() {
        guard isReadOnlyFile, ownKilobytes == 0, let address = UnsafeMutableRawPointer(bitPattern: start) else {
            return
        }
        madvise(address, Int(end - start), Int32(MADV_DONTNEED))
    }
}
