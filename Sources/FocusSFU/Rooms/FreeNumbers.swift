// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Small numbers that are given back and used again.
struct FreeNumbers {
    private var returned: [Int] = []
    private var next = 0

    mutating func take() -> Int {
        if let number = returned.popLast() { return number }
        defer { next += 1 }
        return next
    }

    mutating func give(_ number: Int) {
        returned.append(number)
    }
}
