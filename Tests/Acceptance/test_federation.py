# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Two homeservers, each with its Callbridge: users of the other one are guests in a call."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from TestBed.bed import MatrixBed
from TestBed.matrix import CALL_MEMBER, Answer, User, http
from TestBed.processes import wait_until


class Beds:
    """Our homeserver and the other one, with a room that both are in."""

    def __init__(self, directory: Path):
        self.ours, self.theirs = (MatrixBed(directory / name, federates=True) for name in ("ours", "theirs"))
        names = [self.ours.callbridge.server_name, self.theirs.callbridge.server_name]
        for bed in (self.ours, self.theirs):
            bed.callbridge.matrix_settings = {
                "private_servers": names, "insecure_accept_any_tls_certificate": True}
            bed.callbridge.write_configuration()

    def start(self) -> None:
        self.ours.start()
        self.theirs.start()

    def stop(self) -> None:
        self.theirs.stop()
        self.ours.stop()

    def room(self, alice: User, *guests: User, bot: bool = True) -> str:
        body = {"preset": "private_chat", "invite": [guest.user_id for guest in guests],
                "power_level_content_override": {"events": {CALL_MEMBER: 0}}}
        if bot:
            body["invite"].append(f"@callbot:{self.ours.callbridge.server_name}")
        room = alice.call("POST", "/_matrix/client/v3/createRoom", body)["room_id"]
        for guest in guests:
            wait_until(lambda: self.try_join(guest, room), 30, "the guest joins over federation")
        wait_until(lambda: len(alice.members(room)) == len(body["invite"]) + 1, 30, "all are in the room")
        return room

    @staticmethod
    def try_join(guest: User, room: str) -> bool:
        return http("POST", f"{guest.homeserver_url}/_matrix/client/v3/join/{room}", {}, guest.token).status == 200


@pytest.fixture(scope="module")
def beds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beds]:
    both = Beds(tmp_path_factory.mktemp("federation"))
    try:
        both.start()
        yield both
    finally:
        both.stop()


def validate(bed: MatrixBed, token: str) -> Answer:
    return http("GET", bed.callbridge.url + "/rtc/validate", token=token)


def test_a_guest_makes_no_room_joins_one_and_is_put_out(beds: Beds, new_participant) -> None:
    alice, rob = beds.ours.user("alice"), beds.theirs.user("rob")
    room = beds.room(alice, rob)
    token = beds.ours.callbridge.sfu_get(rob.call_token_request(room))
    assert token.status == 200, token.text
    early = validate(beds.ours, token.json["jwt"])
    assert early.status == 404 and "requested room does not exist" in early.text
    assert beds.ours.call_token(alice, room).status == 200
    assert validate(beds.ours, token.json["jwt"]).status == 200
    guest = new_participant("rob")
    guest.connect(token.json["url"], token.json["jwt"])
    alice.call("POST", f"/_matrix/client/v3/rooms/{room}/kick", {"user_id": rob.user_id})
    guest.wait_for("disconnected", seconds=15)
    wait_until(lambda: beds.ours.callbridge.sfu_get(rob.call_token_request(room)).status == 403, 20, "rob is refused")
    assert validate(beds.ours, token.json["jwt"]).status == 401


def test_a_guest_may_not_hand_over_a_delayed_leave(beds: Beds) -> None:
    alice, rob = beds.ours.user("alice"), beds.theirs.user("rob")
    body = {**rob.call_token_request(beds.room(alice, rob)), "delay_id": "d", "delay_timeout": 8000}
    answer = beds.ours.callbridge.sfu_get(body)
    assert (answer.status, answer.errcode) == (400, "M_BAD_JSON")
    assert answer.json["callbridge.reason"] == "delegationNotAllowed"


def test_a_stranger_of_the_other_homeserver(beds: Beds) -> None:
    alice, mallory = beds.ours.user("alice"), beds.theirs.user("mallory")
    answer = beds.ours.callbridge.sfu_get(mallory.call_token_request(beds.room(alice)))
    assert (answer.status, answer.errcode, answer.json["callbridge.reason"]) == (403, "M_FORBIDDEN", "notJoined")
    forged = mallory.call_token_request(beds.room(alice))
    forged["openid_token"]["matrix_server_name"] = beds.ours.callbridge.server_name
    assert beds.ours.callbridge.sfu_get(forged).status == 401


RTC = "/_matrix/client/unstable/io.element.msc4195/rtc/livekit"


def ask(user: User, bed: MatrixBed, room: str, path: str = "get_token", **changes: object) -> Answer:
    """A client's request to its own homeserver, which passes it on."""
    body = {"url": bed.callbridge.websocket_url, "room_id": room, "slot_id": "m.call#room", "member_id": "member-1",
            **changes}
    return http("POST", f"{user.homeserver_url}{RTC}/{path}", body, user.token)


class TestThroughTheHomeserver:
    """MSC4195: no OpenID token; the homeserver says who asks."""

    def test_a_local_user(self, beds: Beds) -> None:
        from livekit import api
        alice = beds.ours.user("alice")
        room = beds.room(alice)
        answer = ask(alice, beds.ours, room)
        assert answer.status == 200, answer.text
        callbridge = beds.ours.callbridge
        claims = api.TokenVerifier(callbridge.api_key, callbridge.api_secret).verify(answer.json["jwt"])
        digest = hashlib.sha256(json.dumps([alice.user_id, "member-1"], separators=(",", ":")).encode()).digest()
        assert claims.identity == b64encode(digest).rstrip(b"=").decode()
        assert claims.video.can_publish and not claims.video.room_create
        assert validate(beds.ours, answer.json["jwt"]).status == 200
        assert answer.headers["access-control-allow-origin"] == "*"

    def test_what_is_refused(self, beds: Beds) -> None:
        alice, bob = beds.ours.user("alice"), beds.ours.user("bob")
        room = beds.room(alice)
        refusals = [
            (ask(bob, beds.ours, room), 403, "M_FORBIDDEN"),
            (ask(alice, beds.ours, room, url="wss://elsewhere.test"), 400, "M_INVALID_PARAM"),
            (ask(alice, beds.ours, room, slot_id=""), 400, "M_BAD_JSON"),
            (ask(alice, beds.ours, room, "delegate_delayed_leave", delay_id="nothing"), 400, "M_INVALID_PARAM"),
            (ask(alice, beds.ours, room, "delegate_delayed_leave"), 400, "M_BAD_JSON"),
        ]
        for answer, status, errcode in refusals:
            assert (answer.status, answer.errcode) == (status, errcode), answer.text
        direct = beds.ours.callbridge.url + RTC + "/get_token"
        assert http("POST", direct, {}).errcode == "M_MISSING_TOKEN"
        wrong = http("POST", direct, {}, "x" * 43)
        assert (wrong.status, wrong.errcode) == (401, "M_UNKNOWN_TOKEN")

    def test_a_delayed_leave(self, beds: Beds) -> None:
        alice = beds.ours.user("alice")
        room = beds.room(alice)
        delay_id = alice.leave_call_later(room, 8_000)
        answer = ask(alice, beds.ours, room, "delegate_delayed_leave", delay_id=delay_id)
        assert (answer.status, answer.json) == (200, {}), answer.text

    def test_a_guest_joins_through_the_federated_endpoint(self, beds: Beds, new_participant) -> None:
        alice, rob = beds.ours.user("alice"), beds.theirs.user("rob")
        room = beds.room(alice, rob)
        ours = beds.ours.callbridge.server_name
        token = ask(rob, beds.ours, room, server_name=ours)
        assert token.status == 200, token.text
        assert validate(beds.ours, token.json["jwt"]).status == 404, "a guest makes no room"
        assert ask(alice, beds.ours, room).status == 200
        guest = new_participant("rob")
        guest.connect(beds.ours.callbridge.websocket_url, token.json["jwt"])
        alice.call("POST", f"/_matrix/client/v3/rooms/{room}/kick", {"user_id": rob.user_id})
        guest.wait_for("disconnected", seconds=15)
        refused: list[Answer] = []

        def is_refused() -> bool:
            refused.append(ask(rob, beds.ours, room, server_name=ours))
            return refused[-1].status == 403
        wait_until(is_refused, 20, "rob is refused")
        assert refused[-1].errcode == "M_FORBIDDEN"

    def test_a_guest_of_a_room_that_the_other_homeserver_is_not_in(self, beds: Beds) -> None:
        rob = beds.theirs.user("rob")
        room = rob.call("POST", "/_matrix/client/v3/createRoom", {"preset": "private_chat"})["room_id"]
        answer = ask(rob, beds.ours, room, server_name=beds.ours.callbridge.server_name)
        assert (answer.status, answer.errcode) == (403, "M_FORBIDDEN"), answer.text
