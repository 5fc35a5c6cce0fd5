// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import MatrixBridge
import Testing

@Suite("LiveKit names, MSC4195")
struct HashedLiveKitNamesTests {
    static let token = TokenRequest.OpenIDToken(accessToken: "t", server: Identifier.server("example.com"))

    @Test("the room of a client without slots is hashed over the compatibility slot")
    func compatibilityRoom() {
        #expect(
            LiveKitNames.room(Identifier.room("!room:example.com"), slot: LiveKitNames.compatibilitySlot)
                == "krj2dgxw2K6EOm9he4GfQJ6JsSVWfJ8a7BkyjZcSmxs")
        #expect(LiveKitNames.compatibilitySlot == SlotID.compatibilityRoomCall.description)
    }

    @Test("the room of a slot")
    func slotRoom() {
        #expect(
            LiveKitNames.room(Identifier.room("!roomid:example.com"), slot: "slot1234")
                == "O8437W3+jmzMVjoIP3tNwbm+XxHQk2iKpOA7aqw3qSc")
    }

    @Test("identities of the three generations")
    func identities() {
        let user = Identifier.user("@alice:example.com")
        let device = Identifier.device("DEVICE123")
        let room = Identifier.room("!room:example.com")
        let compatibility = TokenRequest(room: room, form: .compatibility(device: device), openIDToken: Self.token)
        #expect(compatibility.liveKitIdentity(of: user) == "@alice:example.com:DEVICE123")
        let slot = TokenRequest(
            room: room, form: .slot("s", memberID: "memberABC", device: device, claimedUser: nil),
            openIDToken: Self.token)
        #expect(slot.liveKitIdentity(of: user) == "J+T45tGruxc+HrUOqJJlyQSV33m728Cme4+vt8/SWrU")
        #expect(
            LiveKitNames.text(of: .hashed(input: LiveKitNames.identityInput(sender: user, memberID: "memberABC")))
                == "M3VnsLXrkbxIDINXO64u8PZzFyD9ZYFiQULR2dshWYs")
    }

    @Test("a salted room name")
    func saltedRoom() {
        let input = LiveKitNames.roomNameInput(
            roomID: Identifier.room("!roomid:example.com"), slotID: "slot123", salt: "random123")
        #expect(LiveKitNames.text(of: .hashed(input: input)) == "IMeDd+K3MIqJTI20EXBIrepKkhhORvf3q8fx3rlrhTk")
    }
}
