// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A media key and the index that frames under it carry.
package struct NumberedMediaKey: Sendable {
    package let index: UInt8
    package let key: MediaKey

    package init(index: UInt8, key: MediaKey) {
        self.index = index
        self.key = key
    }
}
