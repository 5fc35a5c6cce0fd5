# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""The bot's echo in an encrypted call: media keys under Olm with vodozemac on the other side, and frames that the LiveKit
SDK opens with the keys that came."""

import base64
import secrets
import time
from collections.abc import Iterator

import pytest
from test_bot import AdminRoom

from TestBed.bed import MatrixBed
from TestBed.encrypted_device import EncryptedDevice
from TestBed.media import pitch_of
from TestBed.participant import Participant
from TestBed.processes import wait_until

KEYS = "io.element.call.encryption_keys"


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MatrixBed]:
    matrix = MatrixBed(tmp_path_factory.mktemp("sealed-echo"))
    try:
        matrix.synapse.start()
        matrix.admin = matrix.user("admin")
        matrix.callbridge.matrix_settings = {"admins": [matrix.admin.user_id]}
        matrix.callbridge.write_configuration()
        matrix.start_callbridge()
        yield matrix
    finally:
        matrix.stop()


@pytest.fixture(scope="module")
def desk(bed: MatrixBed) -> AdminRoom:
    return AdminRoom(bed, bed.admin)


class Member:
    """A user in the call of an encrypted room, with an Olm device and a media key."""

    def __init__(self, bed: MatrixBed, name: str, cross_signed: bool = True):
        self.bed, self.user = bed, bed.user(name)
        self.device = EncryptedDevice(self.user, cross_signed)
        self.key = secrets.token_bytes(16)

    def join(self, room: str) -> None:
        self.user.join_call(room, self.bed.callbridge.url)

    def keys_from(self, bot: str, device_id: str) -> list[tuple[int, str]]:
        """The keys that came for this device so far: index and key in hexadecimal digits."""
        keys = []
        for message in self.device.receive():
            if message["type"] != KEYS or message["sender"] != bot:
                continue
            content = message["content"]
            assert content["member"] == {"id": f"{bot}:{device_id}", "claimed_device_id": device_id}, content
            assert content["session"] == {"application": "m.call", "call_id": "", "scope": "m.room"}, content
            keys.append((content["keys"]["index"], base64.b64decode(content["keys"]["key"]).hex()))
        return keys

    def give_key(self, room: str, bot: str, device_id: str) -> None:
        content = {
            "keys": {"index": 0, "key": base64.b64encode(self.key).decode()}, "room_id": room,
            "member": {"id": self.user.call_identity, "claimed_device_id": self.user.device_id},
            "session": {"application": "m.call", "call_id": "", "scope": "m.room"},
            "sent_ts": int(time.time() * 1000)}
        self.device.send_to_device(
            "m.room.encrypted", bot, device_id, self.device.encrypt(bot, device_id, KEYS, content))


def wait_for_key(member: Member, bot: str, device_id: str, index: int) -> str:
    return dict(wait_until(lambda: [key for key in member.keys_from(bot, device_id) if key[0] == index], 60,
                           f"key {index} of the echo"))[index]


@pytest.mark.limit(300)
def test_an_echo_in_an_encrypted_call(bed: MatrixBed, desk: AdminRoom, new_participant) -> None:
    alice, bob = Member(bed, "alice"), Member(bed, "bob")
    unsigned = Member(bed, "unsigned", cross_signed=False)
    room = alice.user.create_encrypted_room([desk.bot, bob.user.user_id, unsigned.user.user_id])
    for member in (bob, unsigned):
        member.user.join(room)
    wait_until(lambda: desk.bot in alice.user.members(room), 60, "the bot accepts")
    alice.join(room)
    token = bed.call_token(alice.user, room)
    assert token.status == 200, token.text
    participant: Participant = new_participant("alice")
    participant.connect(token.json["url"], token.json["jwt"], keys={alice.user.call_identity: alice.key.hex()})
    participant.do("publish_audio")

    def begun() -> str | None:
        said = desk.ask(f"echo {room}")["body"]
        # The state of the room and the bot's device take a moment.
        return None if "I am not in that room" in said or "no encrypted device" in said else said
    said = wait_until(begun, 60, "the bot knows the room")
    assert "coming back" in said, said
    [device_id] = alice.device.devices(desk.bot)
    echo = f"{desk.bot}:{device_id}"
    assert participant.wait_for("track_subscribed", who=echo, track="echo", seconds=30)["encryption"] == 1

    # The leg's first key came to alice's device; hers has not gone out yet, so nothing comes back.
    participant.do("set_key", identity=echo, key=wait_for_key(alice, desk.bot, device_id, 0), index=0)
    assert participant.counts(echo, "echo").get("level", 0) < 300
    alice.give_key(room, desk.bot, device_id)
    wanted = pitch_of(alice.user.call_identity)

    def hears() -> dict | None:
        heard = participant.counts(echo, "echo")
        return heard if heard.get("level", 0) > 300 and abs(heard["pitch"] - wanted) < 5 else None
    heard = wait_until(hears, 60, "the tone comes back")
    print(f"sent {wanted} Hz, heard {heard['pitch']} Hz at level {heard['level']}")

    def hears_on(index: int, key: str) -> None:
        """For three seconds more, with the next key."""
        participant.do("set_key", identity=echo, key=key, index=index)
        time.sleep(2)
        windows = participant.counts(echo, "echo")["windows"]
        wait_until(lambda: participant.counts(echo, "echo")["windows"] >= windows + 6, 30, "three seconds more")
        wait_until(hears, 30, f"the tone comes back under key {index}")

    # Bob joins when the key is older than ten seconds: another for both. Nobody vouches for the third device.
    time.sleep(10)
    unsigned.join(room)
    first = wait_for_key(alice, desk.bot, device_id, 1)
    hears_on(1, first)
    bob.join(room)
    shared = wait_until(lambda: bob.keys_from(desk.bot, device_id), 60, "a key for bob")
    index, key = shared[-1]
    assert wait_for_key(alice, desk.bot, device_id, index) == key
    hears_on(index, key)
    assert 0 not in dict(shared), "what was said before bob came stays closed to him"

    # He leaves: the next key is not for him.
    bob.user.leave_call(room)
    after = wait_for_key(alice, desk.bot, device_id, index + 1)
    hears_on(index + 1, after)
    assert dict(bob.keys_from(desk.bot, device_id)) == dict(shared)
    assert unsigned.keys_from(desk.bot, device_id) == []
    assert "left the call" in desk.ask(f"echo {room} off")["body"]
    participant.wait_for("participant_disconnected", who=echo)
