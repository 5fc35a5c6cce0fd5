// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
package import OlmE2EE

/// Carries messages to devices so that nobody else can read them.
package protocol DeviceMessaging: Sendable {
    /// Encrypts one content for each device and sends it.
    ///
    /// - Returns: the devices it was not sent to: unknown ones, those that nobody vouches for, and all when the
    ///   homeserver cannot be reached.
    func send(_ type: String, _ content: JSONObject, to devices: Set<DeviceAddress>) async -> Set<DeviceAddress>
}
