// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Finds the name a person probably meant.
package enum NearestName {
    /// The candidate with the fewest edits from `name`; nil when none is near enough to be a slip.
    ///
    /// Up to a third of the letters, and at least one edit, may differ. Of equally near names the first wins.
    /// Cost: candidates × length², with `name` cut at 64 scalars.
    package static func of(_ name: String, in candidates: some Sequence<String>) -> String? {
        let wanted = Array(normalized(name).prefix(64))
        var best: (name: String, edits: Int)?
        for candidate in candidates {
            let edits = distance(wanted, Array(normalized(candidate)))
            let allowed = max(1, min(wanted.count, candidate.count) / 3)
            guard edits <= allowed, best.map({ edits < $0.edits }) ?? true else { continue }
            best = (candidate, edits)
        }
        return best?.name
    }

    /// Letters only matter: `rtcUDPPort`, `rtc-udp-port` and `RTC_UDP_PORT` are near to `rtc_udp_port`.
    private static func normalized(_ name: String) -> [UInt8] {
        name.lowercased().utf8.filter { $0 != UInt8(ascii: "_") && $0 != UInt8(ascii: "-") }
    }

    /// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
    static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for (row, leftByte) in left.enumerated() {
            var current = [row + 1]
            current.reserveCapacity(right.count + 1)
            for (column, rightByte) in right.enumerated() {
                var edits = min(last[column + 1] + 1, current[column] + 1)
                edits = min(edits, last[column] + (leftByte == rightByte ? 0 : 1))
                if row > 0, column > 0, leftByte == right[column - 1], left[row - 1] == rightByte {
                    edits = min(edits, beforeLast[column - 1] + 1)
                }
                current.append(edits)
            }
            beforeLast = last
            last = current
        }
        return last[right.count]
    }
}
