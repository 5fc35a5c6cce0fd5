// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import MatrixBridge

/// Service records from a table.
struct FakeResolver: SRVResolving {
    var table: [String: [SRVRecord]] = [:]

    func records(of name: String) async -> [SRVRecord] {
        table[name] ?? []
    }
}
