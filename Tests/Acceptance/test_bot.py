# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""The bot in the admin room: who may invite it, what it answers, what its commands do to a call."""

import time
import uuid
from collections.abc import Iterator

import pytest

from TestBed.bed import MatrixBed
from TestBed.matrix import User, part
from TestBed.processes import wait_until


class AdminRoom:
    """A room for commands, and what is said there."""

    def __init__(self, bed: MatrixBed, user: User):
        self.bed, self.user = bed, user
        self.bot = f"@callbot:{bed.callbridge.server_name}"
        body: dict = {"preset": "trusted_private_chat", "is_direct": True, "invite": [self.bot]}
        self.room = user.call("POST", "/_matrix/client/v3/createRoom", body)["room_id"]
        wait_until(lambda: self.bot in user.members(self.room), 30, "the bot accepts")
        self.greeting = self.wait_for(lambda event: True)

    def said(self) -> list[dict]:
        """The bot's messages, oldest first."""
        events = self.user.call("GET", f"/_matrix/client/v3/rooms/{part(self.room)}/messages",
                                query={"dir": "b", "limit": 100})["chunk"]
        return [event for event in reversed(events)
                if event["sender"] == self.bot and event["type"] == "m.room.message"]

    def wait_for(self, matches) -> dict:
        found: list[dict] = []

        def look() -> bool:
            found[:] = [event for event in self.said() if matches(event)]
            return bool(found)
        wait_until(look, 20, "the bot says something")
        return found[-1]["content"]

    def send(self, text: str) -> str:
        path = f"/_matrix/client/v3/rooms/{part(self.room)}/send/m.room.message/{uuid.uuid4().hex}"
        return self.user.call("PUT", path, {"msgtype": "m.text", "body": text})["event_id"]

    def ask(self, text: str) -> dict:
        """Sends a command; returns the content of the reply, the last one when it was edited."""
        question = self.send(text)
        first: list[str] = []

        def is_reply(event: dict) -> bool:
            relation = event["content"].get("m.relates_to", {})
            if relation.get("m.in_reply_to", {}).get("event_id") == question:
                first.append(event["event_id"])
                return True
            return relation.get("rel_type") == "m.replace" and relation.get("event_id") in first
        content = self.wait_for(is_reply)
        if content["body"].endswith("…"):
            wait_until(lambda: not self.wait_for(is_reply)["body"].endswith("…"), 20, "the work is done")
            content = self.wait_for(is_reply)
        return content.get("m.new_content", content)


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MatrixBed]:
    matrix = MatrixBed(tmp_path_factory.mktemp("bot"))
    try:
        matrix.synapse.start()
        matrix.admin = matrix.user("admin")
        matrix.callbridge.matrix_settings = {
            "admins": [matrix.admin.user_id], "rooms": [{"room": "!quiet:callbridge.test", "calls": False}]}
        matrix.callbridge.write_configuration()
        matrix.start_callbridge()
        yield matrix
    finally:
        matrix.stop()


@pytest.fixture(scope="module")
def desk(bed: MatrixBed) -> AdminRoom:
    return AdminRoom(bed, bed.admin)


def test_it_says_hello_and_helps(desk: AdminRoom) -> None:
    assert "help" in desk.greeting["body"]
    reply = desk.ask("help")
    for command in ("status", "calls", "call [room]", "why <user>", "mute <user> [room]", "kick <user> [room]",
                    "end [room]", "limits", "log <component> <level>", "ping", "version"):
        assert command in reply["body"], command
    assert reply["format"] == "org.matrix.custom.html" and "<li>" in reply["formatted_body"]
    assert reply["msgtype"] == "m.notice"


def test_status_ping_version_limits(desk: AdminRoom) -> None:
    assert "callbridge" in desk.ask("version")["body"]
    assert "Pong" in desk.ask("ping")["body"]
    assert "All is well" in desk.ask("status")["body"]
    limits = desk.ask("limits")["body"]
    for words in ("power levels", "8 calls of one user at a time", "room !quiet:callbridge.test: no calls",
                  "user: 60 a minute"):
        assert words in limits, words
    assert "did you mean `status`" in desk.ask("statsu")["body"]


def test_log_levels_count_at_once(desk: AdminRoom) -> None:
    assert "matrix: debug" in desk.ask("log")["body"]
    assert "logged from error" in desk.ask("log focus error")["body"]
    assert "focus: error" in desk.ask("log")["body"]
    assert "logged from debug" in desk.ask("log focus debug")["body"]
    assert "no component" in desk.ask("log nothing debug")["body"]


def test_who_is_no_administrator_hears_what_is_needed(bed: MatrixBed) -> None:
    room = AdminRoom(bed, bed.user("mallory"))
    assert "matrix.admins" in room.ask("status")["body"]
    assert "matrix.admins" in room.ask(f"why {bed.admin.user_id}")["body"]
    assert "Pong" in room.ask("ping")["body"]


def test_why_replays_refusals(bed: MatrixBed, desk: AdminRoom) -> None:
    alice, mallory = bed.user("alice"), bed.user("mallory")
    room = bed.room(alice)
    assert bed.call_token(mallory, room).status == 403
    reply = desk.ask(f"why {mallory.user_id}")["body"]
    assert room in reply and "not joined" in reply
    assert bed.call_token(alice, room).status == 200
    assert "token" in desk.ask(f"why {alice.user_id}")["body"]


@pytest.mark.limit(180)
def test_a_call_is_listed_muted_kicked_and_ended(bed: MatrixBed, desk: AdminRoom, new_participant) -> None:
    alice, bob = bed.user("alice"), bed.user("bob")
    room = bed.room(alice, bob)
    alice.invite(room, desk.bot)
    wait_until(lambda: desk.bot in alice.members(room), 20, "the bot is in the room of the call")
    participants = {}
    for user in (alice, bob):
        user.join_call(room, bed.callbridge.url)
        token = bed.call_token(user, room).json
        participants[user] = new_participant(user.user_id.split("-")[0][1:])
        participants[user].connect(token["url"], token["jwt"])
        participants[user].do("publish_audio")
    participants[alice].wait_for("first_tone", publisher=bob.call_identity)
    wait_until(lambda: room in desk.ask("calls")["body"], 20, "the call is listed")
    time.sleep(2)
    detail = desk.ask(f"call {room}")["body"]
    assert alice.user_id in detail and bob.device_id in detail and "here" in detail
    alias = f"#call-{uuid.uuid4().hex[:6]}:{bed.callbridge.server_name}"
    alice.call("PUT", f"/_matrix/client/v3/directory/room/{part(alias)}", {"room_id": room})
    assert bob.device_id in desk.ask(f"call {alias}")["body"]
    assert "muted" in desk.ask(f"mute {bob.user_id} {alias}")["body"]
    participants[alice].wait_for("track_muted", who=bob.call_identity)
    assert "no room with the alias" in desk.ask(f"kick {bob.user_id} {alias.replace('#', '#no-')}")["body"]
    assert "taken out" in desk.ask(f"kick {bob.user_id} {alias}")["body"]
    participants[bob].wait_for("disconnected")
    assert "taken out of the call by" in desk.ask(f"why {bob.user_id}")["body"]
    assert "is over" in desk.ask(f"end {alias}")["body"]
    participants[alice].wait_for("disconnected")


def test_a_moderator_commands_in_the_room_with_the_prefix(bed: MatrixBed) -> None:
    alice, bob = bed.user("alice"), bed.user("bob")
    room = alice.call("POST", "/_matrix/client/v3/createRoom", {
        "preset": "private_chat", "invite": [bob.user_id, f"@callbot:{bed.callbridge.server_name}"]})["room_id"]
    bob.join(room)
    wait_until(lambda: f"@callbot:{bed.callbridge.server_name}" in alice.members(room), 20, "the bot accepts")
    desk = AdminRoom.__new__(AdminRoom)
    desk.bed, desk.user, desk.room = bed, alice, room
    desk.bot = f"@callbot:{bed.callbridge.server_name}"
    # The state of the room is read a moment after the bot came.
    wait_until(lambda: "Nobody is in a call" in desk.ask("!call call")["body"], 20, "the bot sees the room")
    desk.user = bob
    refused = desk.ask("!call end")["body"]
    assert "needs power level 50" in refused and "you have 0" in refused
