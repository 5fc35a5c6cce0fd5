// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CAllocationCount
import Glibc

/// What a forwarded packet costs, from the single steps to the way through the kernel.
///
///     Benchmarks/hotpath.sh
///
/// Prints a line for each measurement and exits with 1 when a threshold is missed: the hot loop against the same loop
/// in C, and allocations after the first packets, of which there may be none. All other times are for comparison on one
/// machine.
@main
enum HotPath {
    static func main() throws {
        var holds = CountsAllocations.isProven()
        holds = try HotLoop.compareWithC() && holds
        for profile in ForwardingPath.profiles {
            for subscribers in [1, 10, 100, 500] {
                for (isVideo, payload) in [(false, 160), (true, 1_100)] {
                    let path = try ForwardingPath(
                        profile: profile, subscriberCount: subscribers, isVideo: isVideo, payloadLength: payload)
                    holds = path.measure() && holds
                }
            }
        }
        holds = try Steps.measure() && holds
        exit(holds ? 0 : 1)
    }
}

/// Whether allocations are counted at all; a count that stays at zero would prove anything.
enum CountsAllocations {
    static func isProven() -> Bool {
        let before = CAllocationCount_now()
        UnsafeMutableRawPointer.allocate(byteCount: 1 << 16, alignment: 16).deallocate()
        let isCounted = CAllocationCount_now() > before
        if !isCounted { report("allocations", "are not counted in this build  OVER") }
        return isCounted
    }
}

/// Processor time of this process in nanoseconds: what other processes do in the meantime hardly shows in it.
func processorTime() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// The median of some rounds' results.
func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
}

/// `name`, filled up to a column, and `text`.
func report(_ name: String, _ text: String) {
    print(name + String(repeating: " ", count: max(1, 44 - name.count)) + text)
}
