// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc

/// Pages of code that only the start needed.
enum StartUpPages {
    /// Takes them out of memory; what is needed again comes back from the file, mostly from the system's cache of it.
    ///
    /// Reading configuration, looking up types and starting libraries touches two thirds of the program, and nothing else
    /// would ever give that memory back to the machine. Code is mapped read-only and never written, so nothing is lost.
    static func release() {
        guard let maps = fopen("/proc/self/maps", "re") else { return }
        defer { fclose(maps) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        while getline(&line, &capacity, maps) > 0, let line {
            release(mapping: String(cString: line))
        }
    }

    /// - Parameter mapping: one line of `/proc/self/maps`, proc(5).
    private static func release(mapping: String) {
        // Addresses, access, offset, device, inode, path.
        let fields = mapping.split(whereSeparator: \.isWhitespace)
        guard fields.count >= 6, fields[1] == "r-xp", fields[5].hasPrefix("/") else { return }
        let bounds = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
        guard bounds.count == 2, bounds[0] < bounds[1], let start = UnsafeMutableRawPointer(bitPattern: bounds[0])
        else { return }
        madvise(start, Int(bounds[1] - bounds[0]), Int32(MADV_DONTNEED))
    }
}
