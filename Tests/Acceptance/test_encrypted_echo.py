# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""The bot's echo in an encrypted call: media keys under Olm with vodozemac on the other side, and frames that the LiveKit
SDK opens with the keys that came."""

import base64
import re
import secrets
import time
from collections.abc import Iterator

import pytest
from test_bot import AdminRoom

from TestBed.bed import MatrixBed
from TestBed.encrypted_device import EncryptedDevice
from TestBed.matrix import CALL_MEMBER, http
from TestBed.media import pitch_of
from TestBed.participant import Participant
from TestBed.places import free_tcp_port
from TestBed.processes import wait_until

KEYS = "io.element.call.encryption_keys"


def refused(bed: MatrixBed, reason: str) -> int:
    """Frames that the echo did not send back, by the metrics."""
    page = http("GET", f"http://127.0.0.1:{bed.callbridge.settings['prometheus']['port']}/metrics").text
    found = re.search(rf'callbridge_leg_frames_refused_total{{reason="{reason}"}} (\d+)', page)
    return int(found[1]) if found else 0


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MatrixBed]:
    with MatrixBed.administered(tmp_path_factory.mktemp("sealed-echo"), prometheus={"port": free_tcp_port()}) as matrix:
        yield matrix


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


class EncryptedCall:
    """An encrypted room with its members and the bot, whose echo is in its call."""

    def __init__(self, bed: MatrixBed, desk: AdminRoom, owner: Member, *others: Member):
        self.bed, self.desk, self.bot = bed, desk, desk.bot
        self.owner, user = owner, owner.user
        self.room = user.create_encrypted_room([desk.bot, *(member.user.user_id for member in others)])
        for member in others:
            member.user.join(self.room)
        wait_until(lambda: desk.bot in user.members(self.room), 60, "the bot accepts")
        owner.join(self.room)

    def begin(self) -> None:
        def begun() -> str | None:
            said = self.desk.ask(f"echo {self.room}")["body"]
            # The state of the room and the bot's device take a moment.
            return None if "I am not in that room" in said or "no encrypted device" in said else said
        said = wait_until(begun, 60, "the bot knows the room")
        assert "coming back" in said, said
        [self.device_id] = self.owner.device.devices(self.bot)

    def end(self) -> None:
        assert "left the call" in self.desk.ask(f"echo {self.room} off")["body"]

    @property
    def echo(self) -> str:
        return f"{self.bot}:{self.device_id}"

    @property
    def created(self) -> int:
        """When the echo says it joined."""
        return self.owner.user.state(self.room, CALL_MEMBER, f"_{self.bot}_{self.device_id}_m.call")["created_ts"]

    def keys_of(self, member: Member) -> list[tuple[int, str]]:
        return member.keys_from(self.bot, self.device_id)

    def key(self, member: Member, index: int, since: int = 0) -> str:
        """The newest key of the index that came for the member."""
        return wait_until(lambda: [key for key in self.keys_of(member)[since:] if key[0] == index], 60,
                          f"key {index} of the echo")[-1][1]

    def give_key(self, member: Member) -> None:
        member.give_key(self.room, self.bot, self.device_id)


class Listener:
    """The owner's client in the focus: sends a tone, and hears it coming back."""

    def __init__(self, call: EncryptedCall, participant: Participant):
        self.call, self.participant, self.owner = call, participant, call.owner
        self.wanted = pitch_of(self.owner.user.call_identity)
        token = call.bed.call_token(self.owner.user, call.room)
        assert token.status == 200, token.text
        participant.connect(token.json["url"], token.json["jwt"],
                            keys={self.owner.user.call_identity: self.owner.key.hex()})
        participant.do("publish_audio")

    def counts(self) -> dict:
        return self.participant.counts(self.call.echo, "echo")

    def hears(self) -> dict | None:
        heard = self.counts()
        return heard if heard.get("level", 0) > 300 and abs(heard["pitch"] - self.wanted) < 5 else None

    def subscribe(self) -> None:
        found = self.participant.wait_for("track_subscribed", who=self.call.echo, track="echo", seconds=60)
        assert found["encryption"] == 1

    def set_key(self, index: int, key: str) -> None:
        self.participant.do("set_key", identity=self.call.echo, key=key, index=index)

    def hears_on(self, index: int, key: str) -> None:
        """For three seconds more, once the next key is in use."""
        self.set_key(index, key)
        time.sleep(2)
        windows = self.counts()["windows"]
        wait_until(lambda: self.counts()["windows"] >= windows + 6, 30, "three seconds more")
        wait_until(self.hears, 30, f"the tone comes back under key {index}")


@pytest.mark.limit(300)
def test_an_echo_in_an_encrypted_call(bed: MatrixBed, desk: AdminRoom, new_participant) -> None:
    alice, bob = Member(bed, "alice"), Member(bed, "bob")
    unsigned = Member(bed, "unsigned", cross_signed=False)
    call = EncryptedCall(bed, desk, alice, bob, unsigned)
    listener = Listener(call, new_participant("alice"))
    call.begin()
    listener.subscribe()

    # The leg's first key came to alice's device; hers has not gone out yet, so nothing comes back.
    listener.set_key(0, call.key(alice, 0))
    wait_until(lambda: refused(bed, "unknownSender") > 100, 60, "sound that nobody can open")
    assert listener.counts().get("level", 0) < 300
    call.give_key(alice)
    heard = wait_until(listener.hears, 60, "the tone comes back")
    print(f"sent {listener.wanted} Hz, heard {heard['pitch']} Hz at level {heard['level']}")

    # Somebody joins when the key is older than ten seconds: another one, but not for a device that nobody vouches for.
    time.sleep(10)
    unsigned.join(call.room)
    listener.hears_on(1, call.key(alice, 1))
    bob.join(call.room)
    shared = wait_until(lambda: call.keys_of(bob), 60, "a key for bob")
    index, key = shared[-1]
    assert call.key(alice, index) == key
    listener.hears_on(index, key)
    assert 0 not in dict(shared), "what was said before bob came stays closed to him"

    # He leaves: the next key is not for him.
    bob.user.leave_call(call.room)
    listener.hears_on(index + 1, call.key(alice, index + 1))
    assert call.keys_of(bob) == shared
    assert call.keys_of(unsigned) == []
    call.end()
    listener.participant.wait_for("participant_disconnected", who=call.echo)


@pytest.mark.limit(240)
def test_after_a_death_of_ours_keys_are_exchanged_anew(bed: MatrixBed, desk: AdminRoom, new_participant) -> None:
    alice = Member(bed, "alice")
    call = EncryptedCall(bed, desk, alice)
    call.begin()
    first = call.key(alice, 0)
    created = call.created
    bed.callbridge.kill()
    bed.start_callbridge()
    # Clients send their keys to who joins, and tell that by this time.
    wait_until(lambda: call.created > created, 60, "the echo joins anew")
    second = call.key(alice, 0, since=1)
    assert second != first
    # A member that joins again may have lost its keys: the same one again, also to it alone.
    count = len(call.keys_of(alice))
    alice.join(call.room)
    wait_until(lambda: len(call.keys_of(alice)) > count, 60, "a key for who joined again")
    index, second = call.keys_of(alice)[-1]
    listener = Listener(call, new_participant("alice"))
    listener.subscribe()
    call.give_key(alice)
    listener.hears_on(index, second)
    call.end()
