# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""The homeserver owns the door: levels and memberships of the Matrix room, enforced in the running call."""

import time
import uuid

import pytest

from TestBed.bed import MatrixBed
from TestBed.matrix import CALL_MEMBER, User, http, part
from TestBed.processes import wait_until

# Between the event at the homeserver and its effect in the call. The event's own way to us is part of it, and the
# machine may be busy with other things, so this is more than the second that is promised from its arrival on.
ENFORCED_WITHIN = 10


def watched_room(bed: MatrixBed, *users: User, bot_sees: bool = True) -> str:
    """A room with our bot in it, which knows its state."""
    room = bed.room(*users)
    bot = f"@callbot:{bed.callbridge.server_name}"
    if bot_sees:
        before = bed.callbridge.process.log.read_text().count("The bot joined a room")
        users[0].invite(room, bot)
        wait_until(lambda: bot in users[0].members(room), 20, "the bot accepts the invitation")
        wait_until(lambda: bed.callbridge.process.log.read_text().count("The bot joined a room") > before, 20,
                   "the bot says so")
    return room


def set_levels(user: User, room: str, **changes: object) -> None:
    levels = user.state(room, "m.room.power_levels")
    for name, value in changes.items():
        levels[name] = {**levels[name], **value} if isinstance(value, dict) else value
    user.set_state(room, "m.room.power_levels", "", levels)


def connect(bed: MatrixBed, room: str, user: User, new_participant, publishes: bool = True):
    token = bed.call_token(user, room)
    assert token.status == 200, token.text
    participant = new_participant(user.user_id.split("-")[0][1:])
    participant.connect(token.json["url"], token.json["jwt"])
    if publishes:
        participant.do("publish_audio")
    return participant, token.json


def hears(participant, user: User) -> bool:
    """Whether packets of the user's sound come in now."""
    before = participant.counts(user.call_identity, "audio")["good"]
    time.sleep(1.2)
    return participant.counts(user.call_identity, "audio")["good"] > before


class TestLevels:
    @pytest.mark.parametrize("bot_sees", [True, False])
    def test_a_level_too_low_is_refused_with_what_is_needed(self, bed: MatrixBed, bot_sees: bool) -> None:
        alice, bob = bed.user("alice"), bed.user("bob")
        room = watched_room(bed, alice, bob, bot_sees=bot_sees)
        set_levels(alice, room, events={CALL_MEMBER: 50})
        assert bed.call_token(alice, room).status == 200

        def refused() -> bool:
            return bed.call_token(bob, room).status == 403
        wait_until(refused, ENFORCED_WITHIN, "bob is refused")
        answer = bed.call_token(bob, room)
        assert answer.errcode == "M_FORBIDDEN"
        assert answer.json["callbridge.reason"] == "levelTooLow"
        assert (answer.json["callbridge.level"], answer.json["callbridge.level_needed"]) == (0, 50)
        assert answer.json["callbridge.event_type"] == CALL_MEMBER
        assert "moderator" in answer.json["error"]

    def test_a_newer_client_needs_the_level_of_its_own_event(self, bed: MatrixBed) -> None:
        alice, bob = bed.user("alice"), bed.user("bob")
        room = watched_room(bed, alice, bob)
        set_levels(alice, room, events={CALL_MEMBER: 50})
        body = {"room_id": room, "slot_id": "m.call#ROOM", "openid_token": bob.openid_token(),
                "member": {"id": "m1", "claimed_user_id": bob.user_id, "claimed_device_id": bob.device_id}}
        assert http("POST", bed.callbridge.url + "/get_token", body).status == 200

    def test_creators_of_a_version_12_room_need_no_level(self, bed: MatrixBed) -> None:
        alice = bed.user("alice")
        room = alice.call("POST", "/_matrix/client/v3/createRoom", {
            "preset": "private_chat", "room_version": "12",
            "power_level_content_override": {"events": {CALL_MEMBER: 100}}})["room_id"]
        assert ":" not in room
        answer = bed.call_token(alice, room)
        assert answer.status == 200, answer.text

    def test_levels_mute_and_unmute_live(self, bed: MatrixBed, new_participant) -> None:
        alice, bob = bed.user("alice"), bed.user("bob")
        room = watched_room(bed, alice, bob)
        listener, _ = connect(bed, room, alice, new_participant)
        speaker, token = connect(bed, room, bob, new_participant)
        listener.wait_for("first_tone", publisher=bob.call_identity)
        set_levels(alice, room, users={bob.user_id: -1})
        wait_until(lambda: not hears(listener, bob), ENFORCED_WITHIN + 10, "bob is not heard any more")
        assert hears(speaker, alice), "bob still listens"
        assert not speaker.saw("disconnected")
        set_levels(alice, room, users={bob.user_id: 0})
        wait_until(lambda: hears(listener, bob), ENFORCED_WITHIN + 10, "bob is heard again")
        assert not speaker.saw("disconnected") and not speaker.saw("reconnecting")
        assert not listener.saw("participant_disconnected")


class TestRemoval:
    @pytest.mark.parametrize("how", ["leave", "kick", "ban"])
    def test_who_is_out_of_the_room_is_out_of_the_call(self, bed: MatrixBed, new_participant, how: str) -> None:
        alice, bob = bed.user("alice"), bed.user("bob")
        room = watched_room(bed, alice, bob)
        listener, _ = connect(bed, room, alice, new_participant)
        speaker, token = connect(bed, room, bob, new_participant)
        listener.wait_for("first_tone", publisher=bob.call_identity)
        if how == "leave":
            bob.leave(room)
        else:
            alice.call("POST", f"/_matrix/client/v3/rooms/{part(room)}/{how}", {"user_id": bob.user_id})
        speaker.wait_for("disconnected", seconds=ENFORCED_WITHIN)
        listener.wait_for("participant_disconnected", who=bob.call_identity, seconds=ENFORCED_WITHIN)
        # What was on its way is played out first.
        wait_until(lambda: not hears(listener, bob), ENFORCED_WITHIN, "bob is not heard any more")
        old = http("GET", bed.callbridge.url + "/rtc/validate", token=token["jwt"])
        assert old.status == 401 and "permissions denied" in old.text
        resumed = http("GET", bed.callbridge.url + "/rtc/validate?reconnect=1&sid=PA_any", token=token["jwt"])
        assert resumed.status == 401
        answer = bed.call_token(bob, room)
        assert (answer.status, answer.errcode) == (403, "M_FORBIDDEN")
        assert answer.json["callbridge.reason"] == "notJoined"

    def test_a_room_that_was_replaced_ends_its_call(self, bed: MatrixBed, new_participant) -> None:
        alice = bed.user("alice")
        room = watched_room(bed, alice)
        participant, token = connect(bed, room, alice, new_participant)
        replacement = alice.call(
            "POST", f"/_matrix/client/v3/rooms/{part(room)}/upgrade", {"new_version": "11"})["replacement_room"]
        participant.wait_for("disconnected", seconds=ENFORCED_WITHIN)
        assert http("GET", bed.callbridge.url + "/rtc/validate", token=token["jwt"]).status == 401
        answer = bed.call_token(alice, room)
        assert answer.status == 403 and answer.json["callbridge.reason"] == "roomReplaced", answer.text
        assert answer.json["callbridge.replacement_room"] == replacement

    def test_a_deactivated_user_is_out(self, bed: MatrixBed, new_participant) -> None:
        alice, bob = bed.user("alice"), bed.user("bob")
        room = watched_room(bed, alice, bob)
        participant, token = connect(bed, room, bob, new_participant, publishes=False)
        body = {"auth": {"type": "m.login.password", "password": bob.password,
                         "identifier": {"type": "m.id.user", "user": bob.user_id}}, "erase": False}
        bob.call("POST", "/_matrix/client/v3/account/deactivate", body)
        # The homeserver lets the user leave its rooms in the background.
        participant.wait_for("disconnected", seconds=60)
        assert http("GET", bed.callbridge.url + "/rtc/validate", token=token["jwt"]).status == 401

    def test_a_redacted_membership_ends_the_participation(self, bed: MatrixBed, new_participant) -> None:
        alice, bob = bed.user("alice"), bed.user("bob")
        room = watched_room(bed, alice, bob)
        event = bob.join_call(room, bed.callbridge.url)
        participant, token = connect(bed, room, bob, new_participant, publishes=False)
        wait_until(lambda: bob.device_id in str(bed.callbridge.rows("SELECT entry FROM roster_entries")), 20,
                   "bob is in the roster")
        alice.call("PUT", f"/_matrix/client/v3/rooms/{part(room)}/redact/{part(event)}/{uuid.uuid4().hex}", {})
        participant.wait_for("disconnected", seconds=ENFORCED_WITHIN)
        assert http("GET", bed.callbridge.url + "/rtc/validate", token=token["jwt"]).status == 401

    def test_a_removal_outlives_a_restart(self, bed: MatrixBed, new_participant) -> None:
        alice, bob = bed.user("alice"), bed.user("bob")
        room = watched_room(bed, alice, bob)
        participant, token = connect(bed, room, bob, new_participant, publishes=False)
        alice.call("POST", f"/_matrix/client/v3/rooms/{part(room)}/ban", {"user_id": bob.user_id})
        participant.wait_for("disconnected", seconds=ENFORCED_WITHIN)
        wait_until(lambda: (bob.call_identity,) in bed.callbridge.rows("SELECT identity FROM revocations"), 20,
                   "the removal is stored")
        bed.callbridge.kill()
        bed.callbridge.start()
        wait_until(lambda: bed.call_token(alice, room).status == 200, 30, "alice makes the call's room again")
        assert http("GET", bed.callbridge.url + "/rtc/validate", token=token["jwt"]).status == 401


class TestGhosts:
    """A client that dies leaves the call within 15 s, whichever generation announced it."""

    WITHIN = 15

    def killed(self, bed: MatrixBed, room: str, participant, is_gone) -> float:
        """Kills the client once the focus has it for good; returns how long its membership outlived it."""
        participant.kill()
        began = time.monotonic()
        wait_until(is_gone, 40, "the membership of the dead client is cleared")
        return time.monotonic() - began

    def slot_token(self, bed: MatrixBed, user: User, room: str, member: str) -> dict:
        body = {"room_id": room, "slot_id": "m.call#ROOM", "openid_token": user.openid_token(),
                "member": {"id": member, "claimed_user_id": user.user_id, "claimed_device_id": user.device_id}}
        answer = http("POST", bed.callbridge.url + "/get_token", body)
        assert answer.status == 200, answer.text
        return answer.json

    def in_roster(self, bed: MatrixBed, user: User) -> bool:
        return any(user.user_id in str(entry) and '"membership"' in str(bytes(entry[0]))
                   for entry in bed.callbridge.rows("SELECT entry FROM roster_entries"))

    def test_state_membership(self, bed: MatrixBed, new_participant) -> None:
        alice = bed.user("alice")
        room = watched_room(bed, alice)
        alice.join_call(room, bed.callbridge.url)
        wait_until(lambda: self.in_roster(bed, alice), 20, "alice is in the roster")
        participant, _ = connect(bed, room, alice, new_participant)
        time.sleep(2)
        took = self.killed(
            bed, room, participant, lambda: alice.state(room, CALL_MEMBER, alice.call_state_key) == {})
        assert took < self.WITHIN, f"{took:.1f} s"
        print(f"cleared after {took:.1f} s")

    def sticky(self, bed: MatrixBed, alice: User, kind: str, content: dict, slot: bool = False) -> str:
        """A room in the clear with the bot, in which alice announced herself; elsewhere such events are encrypted."""
        room = alice.call("POST", "/_matrix/client/v3/createRoom", {"preset": "private_chat"})["room_id"]
        bot = f"@callbot:{bed.callbridge.server_name}"
        alice.invite(room, bot)
        wait_until(lambda: bot in alice.members(room), 20, "the bot accepts")
        if slot:
            alice.set_state(room, "m.rtc.slot", "m.call#room", {"status": "open", "application": {"type": "m.call"}})
        path = f"/_matrix/client/v3/rooms/{part(room)}/send/{kind}/{uuid.uuid4().hex}"
        alice.call("PUT", path, content, {"org.matrix.msc4354.sticky_duration_ms": 3600000})
        wait_until(lambda: self.in_roster(bed, alice), 20, "alice is in the roster")
        return room

    def dies(self, bed: MatrixBed, alice: User, room: str, url: str, token: str, new_participant) -> None:
        participant = new_participant("alice")
        participant.connect(url, token)
        time.sleep(2)
        took = self.killed(bed, room, participant, lambda: not self.in_roster(bed, alice))
        assert took < self.WITHIN, f"{took:.1f} s"
        print(f"cleared after {took:.1f} s")

    def test_sticky_membership_of_the_draft(self, bed: MatrixBed, new_participant) -> None:
        alice, member = bed.user("alice"), uuid.uuid4().hex
        room = self.sticky(bed, alice, "org.matrix.msc4143.rtc.member", {
            "slot_id": "m.call#ROOM", "application": {"type": "m.call"},
            "member": {"id": member, "user_id": alice.user_id, "device_id": alice.device_id},
            "rtc_transports": [{"type": "livekit", "livekit_service_url": bed.callbridge.url}],
            "versions": [], "msc4354_sticky_key": member})
        token = self.slot_token(bed, alice, room, member)
        self.dies(bed, alice, room, token["url"], token["jwt"], new_participant)

    def test_sticky_membership_with_a_slot(self, bed: MatrixBed, new_participant) -> None:
        alice, member = bed.user("alice"), uuid.uuid4().hex
        room = self.sticky(bed, alice, "m.rtc.member", {
            "slot_id": "m.call#room", "application": {"type": "m.call"},
            "member": {"id": member, "membership": "join"}, "sticky_key": member,
            "transports": {"published": [{"type": "m.livekit", "url": bed.callbridge.websocket_url}],
                           "can_subscribe": ["m.livekit"]}}, slot=True)
        path = "/_matrix/client/unstable/io.element.msc4195/rtc/livekit/get_token"
        token = alice.call("POST", path, {"url": bed.callbridge.websocket_url, "room_id": room,
                                          "slot_id": "m.call#room", "member_id": member})["jwt"]
        self.dies(bed, alice, room, bed.callbridge.websocket_url, token, new_participant)

    def test_a_delayed_leave_that_was_handed_over(self, bed: MatrixBed, new_participant) -> None:
        alice = bed.user("alice")
        room = bed.room(alice)
        alice.join_call(room, bed.callbridge.url)
        participant = new_participant("alice")
        delay_id = alice.leave_call_later(room, 8_000)
        body = {**alice.call_token_request(room), "delay_id": delay_id, "delay_timeout": 8_000}
        token = bed.callbridge.sfu_get(body)
        assert token.status == 200, token.text
        participant.connect(token.json["url"], token.json["jwt"])
        time.sleep(20)
        assert alice.state(room, CALL_MEMBER, alice.call_state_key)["device_id"], "kept alive by the focus"
        took = self.killed(
            bed, room, participant, lambda: alice.state(room, CALL_MEMBER, alice.call_state_key) == {})
        assert took < self.WITHIN, f"{took:.1f} s"

    def test_a_delayed_leave_of_somebody_else(self, bed: MatrixBed) -> None:
        alice, bob = bed.user("alice"), bed.user("bob")
        room = bed.room(alice, bob)
        alice.join_call(room, bed.callbridge.url)
        delay_id = alice.leave_call_later(room, 20_000)
        body = {**bob.call_token_request(room), "delay_id": delay_id, "delay_timeout": 20_000}
        answer = bed.callbridge.sfu_get(body)
        assert (answer.status, answer.errcode) == (400, "M_BAD_JSON")
        assert answer.json["callbridge.reason"] == "delayedEventUnknown"

    def test_the_delegation_endpoint(self, bed: MatrixBed) -> None:
        alice = bed.user("alice")
        room = bed.room(alice)
        url = bed.callbridge.url + "/delegate_delayed_leave"
        assert http("POST", url, {}).status == 400
        body = {"room_id": room, "slot_id": "m.call#ROOM", "openid_token": alice.openid_token(),
                "member": {"id": "m1", "claimed_user_id": alice.user_id, "claimed_device_id": alice.device_id},
                "delay_id": alice.leave_call_later(room, 8_000)}
        answer = http("POST", url, body)
        assert (answer.status, answer.json) == (200, {}), answer.text
