// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc

/// What a process has used so far, from `/proc`.
package struct ProcessUsage: Equatable, Sendable {
    /// User and system time of all its threads.
    package var processorSeconds: Double
    /// Time in which its threads could have run and no processor was free, summed over those that live.
    package var waitingSeconds = 0.0
    package var residentBytes: UInt64

    /// Nil when there is no such process, or it is another user's and hidden.
    package init?(of process: Int32) {
        guard let stat = Self.contents(of: "/proc/\(process)/stat"),
            let statm = Self.contents(of: "/proc/\(process)/statm")
        else { return nil }
        self.init(
            stat: stat, statm: statm, ticksPerSecond: Double(sysconf(Int32(_SC_CLK_TCK))),
            pageBytes: UInt64(sysconf(Int32(_SC_PAGESIZE))))
        waitingSeconds = Self.waitingSeconds(of: process)
    }

    private static func waitingSeconds(of process: Int32) -> Double {
        guard let directory = opendir("/proc/\(process)/task") else { return 0 }
        defer { closedir(directory) }
        var sum = 0.0
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard Int32(name) != nil else { continue }
            sum += waitingSeconds(inFile: "/proc/\(process)/task/\(name)/schedstat")
        }
        return sum
    }

    /// The second number of a schedstat file: nanoseconds on a run queue.
    fileprivate static func waitingSeconds(inFile path: String) -> Double {
        let fields = contents(of: path)?.split(whereSeparator: \.isWhitespace) ?? []
        return fields.count > 1 ? (Double(fields[1]) ?? 0) / 1_000_000_000 : 0
    }

    /// Reads the two files, proc(5).
    init?(stat: String, statm: String, ticksPerSecond: Double, pageBytes: UInt64) {
        // The name in parentheses may hold anything, so fields count from behind it: utime is the 14th of all.
        guard let end = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: end)...].split(whereSeparator: \.isWhitespace)
        let pages = statm.split(whereSeparator: \.isWhitespace)
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]), pages.count > 1,
            let resident = UInt64(pages[1]), ticksPerSecond > 0
        else { return nil }
        processorSeconds = (user + system) / ticksPerSecond
        residentBytes = resident * pageBytes
    }

    /// Time that the machine below this virtual one gave to others while somebody here was ready, of all processors
    /// together (proc(5), the eighth figure of the first line); 0 where nobody says.
    static func stolenSeconds(stat: String, ticksPerSecond: Double) -> Double {
        let fields = stat.prefix { $0 != "\n" }.split(separator: " ")
        guard fields.first == "cpu", fields.count > 8, let ticks = Double(fields[8]), ticksPerSecond > 0 else {
            return 0
        }
        return ticks / ticksPerSecond
    }

    fileprivate static func contents(of path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = read(descriptor, &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }
}

/// What this process has used so far, in finer steps than `/proc` gives for others.
struct OwnUsage: Equatable {
    var processorSeconds: Double
    /// Time in which it could have run and no processor was free.
    var waitingSeconds: Double
    /// Time that the machine below took from all processors of this one, whoever had them.
    var stolenSeconds: Double

    static let zero = Self(processorSeconds: 0, waitingSeconds: 0, stolenSeconds: 0)

    static func now() -> Self {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1_000_000 }
        return Self(
            processorSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
            waitingSeconds: ProcessUsage.waitingSeconds(inFile: "/proc/self/schedstat"),
            stolenSeconds: ProcessUsage.stolenSeconds(
                stat: ProcessUsage.contents(of: "/proc/stat") ?? "",
                ticksPerSecond: Double(sysconf(Int32(_SC_CLK_TCK)))))
    }
}
