// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import FuzzInput

/// One message of the data channel establishment protocol; what is understood must survive writing and reading.
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzDCEP(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    var input = FuzzInput(start, count)
    guard let message = try? DCEPMessage(input.remainder()) else { return 0 }
    let again = message.bytes.withUnsafeBytes { try? DCEPMessage($0) }
    precondition(again == message, "a message that is not read back")
    return 0
}
