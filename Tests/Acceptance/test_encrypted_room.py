# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""The bot in an encrypted room, with vodozemac on the other side: commands, replies, and keys that come late or broken."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import vodozemac

from TestBed.bed import MatrixBed
from TestBed.encrypted_device import EncryptedDevice, check_signature
from TestBed.matrix import part
from TestBed.processes import wait_until
from TestBed.stub_bed import StubBed
from TestBed.stub_homeserver import StubHomeserver


def create_room(device: EncryptedDevice, bot: str) -> str:
    """An encrypted room to which the bot is invited."""
    return device.user.call("POST", "/_matrix/client/v3/createRoom", {
        "preset": "trusted_private_chat", "is_direct": True, "invite": [bot],
        "initial_state": [{"type": "m.room.encryption", "state_key": "",
                           "content": {"algorithm": "m.megolm.v1.aes-sha2"}}]})["room_id"]


class EncryptedDesk:
    """An encrypted room with the bot alone, and what is said there."""

    def __init__(self, bed: MatrixBed, device: EncryptedDevice):
        self.bed, self.device = bed, device
        self.bot = f"@callbot:{bed.callbridge.server_name}"
        self.room = create_room(device, self.bot)
        wait_until(lambda: self.bot in device.user.members(self.room), 60, "the bot accepts")
        self.greeting = self.wait_for(lambda event_id, content: True)
        device.share_room_key(self.room, [self.bot])

    @property
    def bot_device(self) -> str:
        devices = list(self.device.devices(self.bot))
        assert len(devices) == 1, devices
        return devices[0]

    def events(self) -> list[dict]:
        """What the bot sent, as it is on the wire, oldest first."""
        chunk = self.device.user.call("GET", f"/_matrix/client/v3/rooms/{part(self.room)}/messages",
                                      query={"dir": "b", "limit": 100})["chunk"]
        return [event for event in reversed(chunk) if event["sender"] == self.bot and "state_key" not in event]

    def said(self) -> list[tuple[str, dict]]:
        """The bot's messages, id and content, all of which must have been encrypted."""
        # In this order: the key of an event is there before the event.
        events = self.events()
        self.device.receive()
        assert {event["type"] for event in events} <= {"m.room.encrypted"}, events
        plain = [(event["event_id"], self.device.decrypt_room(self.room, event)) for event in events]
        assert all(inner["type"] == "m.room.message" for _, inner in plain), plain
        return [(event_id, inner["content"]) for event_id, inner in plain]

    def wait_for(self, matches, seconds: float = 60) -> dict:
        """The last message that matches, by its id and content."""
        found: list[dict] = []

        def look() -> bool:
            found[:] = [content for event_id, content in self.said() if matches(event_id, content)]
            return bool(found)
        wait_until(look, seconds, "the bot says something")
        return found[-1]

    def send(self, text: str) -> str:
        return self.device.send_room(self.room, "m.room.message", {"msgtype": "m.text", "body": text})

    def wait_for_reply(self, question: str, text: str, seconds: float = 60) -> dict:
        """The reply to a question once it, or what replaced it, holds the text."""
        replies: set[str] = set()

        def is_reply(event_id: str, content: dict) -> bool:
            relation = content.get("m.relates_to", {})
            if relation.get("m.in_reply_to", {}).get("event_id") == question:
                replies.add(event_id)
            elif relation.get("event_id") not in replies:
                return False
            return text in content["body"]
        return self.wait_for(is_reply, seconds)

    def ask(self, question: str, answer: str) -> dict:
        return self.wait_for_reply(self.send(question), answer)

    def dummies(self) -> int:
        return sum(message["type"] == "m.dummy" for message in self.device.receive())


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MatrixBed]:
    with MatrixBed.administered(tmp_path_factory.mktemp("encrypted")) as matrix:
        yield matrix


@pytest.fixture(scope="module")
def desk(bed: MatrixBed) -> EncryptedDesk:
    return EncryptedDesk(bed, EncryptedDevice(bed.admin))


def test_commands_and_replies_are_encrypted(desk: EncryptedDesk) -> None:
    assert "Send `help`" in desk.greeting["body"]
    assert "Pong" in desk.ask("ping", "Pong")["body"]
    status = desk.ask("status", "All is well")["body"]
    assert f"the bot's device is {desk.bot_device}, cross-signed" in status
    # Each on the wire as Megolm, none in the clear; `said` has looked at the types.
    assert all(event["content"]["algorithm"] == "m.megolm.v1.aes-sha2" for event in desk.events())


def test_the_bots_device_is_cross_signed(desk: EncryptedDesk) -> None:
    answer = desk.device.query(desk.bot)
    master = answer["master_keys"][desk.bot]
    self_signing = answer["self_signing_keys"][desk.bot]
    [(master_id, master_key)] = master["keys"].items()
    [(signing_id, signing_key)] = self_signing["keys"].items()
    check_signature(self_signing, desk.bot, master_id, master_key)
    device = answer["device_keys"][desk.bot][desk.bot_device]
    check_signature(device, desk.bot, signing_id, signing_key)
    check_signature(master, desk.bot, f"ed25519:{desk.bot_device}", device["keys"][f"ed25519:{desk.bot_device}"])


def test_a_restart_keeps_device_and_keys(bed: MatrixBed, desk: EncryptedDesk) -> None:
    device = desk.bot_device
    bed.callbridge.stop()
    bed.start_callbridge()
    assert "callbridge" in desk.ask("version", "callbridge")["body"]
    assert desk.bot_device == device


@pytest.mark.limit(240)
def test_a2_a_room_key_sent_while_the_service_was_down(bed: MatrixBed, desk: EncryptedDesk) -> None:
    bed.callbridge.kill()
    desk.device.share_room_key(desk.room, [desk.bot])
    question = desk.send("ping")
    bed.start_callbridge()
    assert "Pong" in desk.wait_for_reply(question, "Pong", 120)["body"]


@pytest.mark.limit(360)
def test_a4_drained_one_time_keys_are_refilled(bed: MatrixBed, desk: EncryptedDesk) -> None:
    claimer = EncryptedDevice(bed.user("claimer"))

    def claim() -> dict:
        return claimer.claim(desk.bot, desk.bot_device)

    def drain() -> dict:
        """Claims until only the fallback key is left, and returns that."""
        for _ in range(200):
            key = claim()
            if key.get("fallback"):
                return key
        raise AssertionError("the one-time keys never end")
    first = drain()
    assert claim()["key"] == first["key"], "a fallback key is given out again"
    # A transaction tells the service at once; without one it looks every two minutes.
    desk.send("ping")
    wait_until(lambda: not claim().get("fallback"), 150, "there are one-time keys again")
    assert drain()["key"] != first["key"], "the used fallback key was replaced"


@pytest.mark.limit(240)
def test_a5_a_broken_session_is_mended_once_an_hour(desk: EncryptedDesk) -> None:
    def send_broken() -> None:
        content = desk.device.encrypt(desk.bot, desk.bot_device, "m.dummy", {})
        [ciphertext] = content["ciphertext"].values()
        middle = len(ciphertext["body"]) // 2
        letter = "A" if ciphertext["body"][middle] != "A" else "B"
        ciphertext["body"] = ciphertext["body"][:middle] + letter + ciphertext["body"][middle + 1:]
        desk.device.send_to_device("m.room.encrypted", desk.bot, desk.bot_device, content)
    before = desk.dummies()
    send_broken()
    wait_until(lambda: desk.dummies() == before + 1, 150, "a dummy comes over a fresh session")
    send_broken()
    # The key goes after the second broken message, over the fresh session; when the reply is there, both were handled.
    desk.device.share_room_key(desk.room, [desk.bot])
    desk.ask("ping", "Pong")
    time.sleep(3)
    assert desk.dummies() == before + 1


def test_a_device_that_is_not_cross_signed_gets_no_keys(bed: MatrixBed) -> None:
    device = EncryptedDevice(bed.user("unsigned"), cross_signed=False)
    create_room(device, f"@callbot:{bed.callbridge.server_name}")

    def withheld() -> list[dict]:
        return [message["content"] for message in device.receive() if message["type"] == "m.room_key.withheld"]
    wait_until(lambda: bool(withheld()), 60, "the device hears that it gets no key")
    assert withheld()[0]["code"] == "m.unverified"
    assert not device.inbound


def test_a_room_key_that_never_comes_is_regretted(bed: MatrixBed, desk: EncryptedDesk) -> None:
    device = desk.device
    device.outbound[desk.room] = vodozemac.GroupSession()
    question = desk.send("ping")
    assert "its key has not reached me" in desk.wait_for_reply(question, "could not read", 110)["body"]
    device.share_room_key(desk.room, [desk.bot])
    desk.ask("ping", "Pong")


def test_events_before_their_key_are_read_when_it_comes(desk: EncryptedDesk) -> None:
    device = desk.device
    session = device.outbound[desk.room] = vodozemac.GroupSession()
    key = {"algorithm": "m.megolm.v1.aes-sha2", "room_id": desk.room, "session_id": session.session_id,
           "session_key": session.session_key.to_base64()}
    question = desk.send("version")
    # Another command in the clear shows that the homeserver has pushed the event before it.
    path = f"/_matrix/client/v3/rooms/{part(desk.room)}/send/m.room.message/before-the-key"
    clear = device.user.call("PUT", path, {"msgtype": "m.text", "body": "help"})["event_id"]
    desk.wait_for_reply(clear, "Commands")
    device.send_to_device("m.room.encrypted", desk.bot, desk.bot_device,
                          device.encrypt(desk.bot, desk.bot_device, "m.room_key", key))
    desk.wait_for_reply(question, "callbridge")


def test_a_homeserver_that_gives_no_device_is_named(tmp_path: Path) -> None:
    """One that knows nothing of devices: the rest works, and the log says what does not."""
    with StubHomeserver() as stub:
        bed = StubBed(tmp_path, stub)
        bed.start()
        try:
            def log() -> str:
                return bed.callbridge.process.log.read_text()
            wait_until(lambda: "The bot cannot work in encrypted rooms" in log(), 60, "the log names it")
            assert "io.element.msc4190" in log() and "M_UNRECOGNIZED" in log()
            assert bed.callbridge.is_ready()
        finally:
            assert bed.callbridge.stop() == 0


def test_keys_are_fetched_where_transactions_bring_none(tmp_path: Path) -> None:
    """A homeserver without the unstable parts of transactions: to-device messages lie there until we ask for them."""
    bed = MatrixBed(tmp_path)
    features = bed.synapse.configuration["experimental_features"]
    bed.synapse.settings = {"experimental_features": {
        **features, "msc2409_to_device_messages_enabled": False, "msc3202_transaction_extensions": False}}
    try:
        bed.start()
        desk = EncryptedDesk(bed, EncryptedDevice(bed.user("alice")))
        assert "Pong" in desk.ask("ping", "Pong")["body"]
    finally:
        bed.stop()
