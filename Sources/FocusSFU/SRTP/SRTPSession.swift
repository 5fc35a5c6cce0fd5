// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Owns the SRTP contexts of one peer, both directions, and erases the keys on deinit.
///
/// sender and receiver are plain handles: keep them in per-packet structures, but never longer than the session.
/// A session belongs to one thread.
package final class SRTPSession {
    package let profile: SRTPProfile
    package let sender: SRTPSender
    package let receiver: SRTPReceiver

    /// - Parameter localRole: our part in the DTLS handshake, which decides whose keys are whose.
    package convenience init(keying: SRTPKeyingMaterial, localRole: DTLSRole) throws(SRTPError) {
        let remoteRole = localRole.other
        let profile = keying.profile
        func derive(_ purpose: SRTPSessionKeys.Purpose, _ role: DTLSRole) throws(SRTPError) -> SRTPSessionKeys {
            try SRTPSessionKeys(
                deriving: purpose,
                masterKey: keying.masterKey(writtenBy: role),
                masterSalt: keying.masterSalt(writtenBy: role),
                profile: profile
            )
        }
        try self.init(
            profile: profile,
            sendRTP: derive(.rtp, localRole),
            sendRTCP: derive(.rtcp, localRole),
            receiveRTP: derive(.rtp, remoteRole),
            receiveRTCP: derive(.rtcp, remoteRole)
        )
    }

    /// Makes a session of session keys, as test vectors give them.
    package init(
        profile: SRTPProfile,
        sendRTP: borrowing SRTPSessionKeys,
        sendRTCP: borrowing SRTPSessionKeys,
        receiveRTP: borrowing SRTPSessionKeys,
        receiveRTCP: borrowing SRTPSessionKeys
    ) throws(SRTPError) {
        let send = try SRTPCryptoContext.allocate(profile: profile, rtp: sendRTP, rtcp: sendRTCP, encrypts: true)
        do {
            let receive = try SRTPCryptoContext.allocate(
                profile: profile, rtp: receiveRTP, rtcp: receiveRTCP, encrypts: false)
            receiver = SRTPReceiver(context: receive)
        } catch {
            SRTPCryptoContext.free(send)
            throw error
        }
        self.profile = profile
        sender = SRTPSender(context: send)
    }

    deinit {
        SRTPCryptoContext.free(sender.context)
        SRTPCryptoContext.free(receiver.context)
    }
}
