# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Two homeservers, each with its Callbridge: users of the other one are guests in a call."""

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
