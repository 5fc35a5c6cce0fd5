# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Rules for rooms and limits of users, devices and rooms, as clients meet them."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from TestBed.matrix import CALL_MEMBER, http
from TestBed.processes import wait_until
from TestBed.server_api import ask_for_socket, claims_of
from TestBed.signalling import Signalling
from TestBed.stub_bed import StubBed
from TestBed.stub_homeserver import StubHomeserver, StubUser

HALL, QUIET, STAFF, SMALL, BUSY = ("#hall:stub.test", "!quiet:stub.test", "!staff:stub.test", "!small:stub.test",
                                   "!busy:stub.test")


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubBed]:
    with StubHomeserver() as stub:
        stub.aliases[HALL] = "!hall:stub.test"
        bed = StubBed(
            tmp_path_factory.mktemp("policy"), stub,
            rooms=[{"room": HALL, "levels": {"publish": 50, "join": "any"}},
                   {"room": QUIET, "calls": False},
                   {"room": STAFF, "users": ["@staff-*:stub.test"]},
                   {"room": "!small*", "max_participants": 1}],
            limits={"calls_per_device": 1})
        bed.start()
        try:
            yield bed
        finally:
            bed.callbridge.stop()


def may_publish(answer) -> bool:
    assert answer.status == 200, answer.text
    return claims_of(answer.json["jwt"])["video"]["canPublish"]


def test_levels_of_a_room_named_by_its_alias(bed: StubBed) -> None:
    alice, speaker = bed.stub.user("alice"), bed.stub.user("speaker")
    hall, other = bed.stub.aliases[HALL], bed.stub.room(alice)
    bed.stub.members[hall] = {alice.user_id, speaker.user_id}
    bed.stub.levels[hall] = {"users": {speaker.user_id: 50}, "events": {CALL_MEMBER: 0}}
    assert may_publish(bed.post("/sfu/get", speaker.compatibility_body(hall)))
    assert not may_publish(bed.post("/sfu/get", alice.compatibility_body(hall)))
    laptop = StubUser(bed.stub, alice.user_id, "LAPTOP")
    assert may_publish(bed.post("/sfu/get", laptop.compatibility_body(other)))


def test_a_room_without_calls_and_one_for_some_users(bed: StubBed) -> None:
    alice, staff = bed.stub.user("alice"), bed.stub.user("staff")
    for room, reason in ((QUIET, "callsNotAllowed"), (STAFF, "userNotAllowed")):
        bed.stub.members[room] = {alice.user_id, staff.user_id}
        for path in ("/sfu/get", "/get_token"):
            answer = bed.post(path, alice.body(path, room))
            assert (answer.status, answer.errcode, answer.json["callbridge.reason"]) == (403, "M_FORBIDDEN", reason)
            assert answer.json["callbridge.rule"] == room and "administrators" in answer.json["error"]
    assert bed.post("/sfu/get", staff.compatibility_body(STAFF)).status == 200


def test_a_room_that_is_full(bed: StubBed) -> None:
    """Refused with a token request, and at the focus who had a token already."""
    alice, bob, carol = (bed.stub.user(name) for name in ("alice", "bob", "carol"))
    bed.stub.members[SMALL] = {user.user_id for user in (alice, bob, carol)}
    early = bed.post("/sfu/get", bob.compatibility_body(SMALL))
    assert early.status == 200, early.text
    with Signalling(bed.callbridge, bed.post("/sfu/get", alice.compatibility_body(SMALL)).json["jwt"]):
        late = bed.post("/sfu/get", carol.compatibility_body(SMALL))
        assert (late.status, late.json["callbridge.reason"]) == (403, "limitReached"), late.text
        assert (late.json["callbridge.subject"], late.json["callbridge.limit"]) == ("participantsOfRoom", 1)
        assert "wait until somebody leaves" in late.json["error"]
        with pytest.raises(AssertionError):
            with Signalling(bed.callbridge, early.json["jwt"]):
                pass
        again = bed.post("/sfu/get", alice.compatibility_body(SMALL))
        assert again.status == 200, "who is there gets another one"


@pytest.mark.limit(180)
def test_a_device_in_two_calls(bed: StubBed) -> None:
    """Refused while it is in the first; afterwards the first token is void."""
    alice = bed.stub.user("alice")
    first, second = bed.stub.room(alice), bed.stub.room(alice)
    token = bed.post("/sfu/get", alice.compatibility_body(first)).json["jwt"]
    with Signalling(bed.callbridge, token):
        answer = bed.post("/sfu/get", alice.compatibility_body(second))
        assert (answer.status, answer.json["callbridge.subject"]) == (403, "callsOfDevice"), answer.text
        assert answer.json["callbridge.limit"] == 1 and "leave another call" in answer.json["error"]
    assert http("GET", bed.callbridge.url + "/rtc/validate", token=token).status == 200

    def is_let_in() -> bool:
        time.sleep(2)  # not faster than the rate
        return bed.post("/sfu/get", alice.compatibility_body(second)).status == 200
    wait_until(is_let_in, 90, "the second call, once the first token lies idle")
    assert http("GET", bed.callbridge.url + "/rtc/validate", token=token).status == 401
    assert ask_for_socket(bed.callbridge, "/rtc?protocol=16&sdk=js", token).status == 401


def test_rates(tmp_path: Path) -> None:
    """As many at once as a third of a minute's, then 429 with whose they are and when to come back."""
    with StubHomeserver() as stub:
        bed = StubBed(tmp_path, stub, limits={"tokens_per_device": 6, "tokens_per_user": 9, "tokens_per_room": 12})
        bed.start()
        try:
            for scope, count in (("device", 2), ("user", 3), ("room", 4)):
                alice, room = stub.user("alice"), stub.room()
                users = {
                    "device": lambda number: alice,
                    "user": lambda number: StubUser(stub, alice.user_id, f"DEVICE{number}"),
                    "room": lambda number: stub.user("guest"),
                }
                for number in range(count + 1):
                    user = users[scope](number)
                    stub.members[room].add(user.user_id)
                    answer = bed.post("/sfu/get", user.compatibility_body(room))
                    assert answer.status == (200 if number < count else 429), (scope, number, answer.text)
                assert (answer.errcode, answer.json["callbridge.scope"]) == ("M_LIMIT_EXCEEDED", scope)
                assert answer.json["retry_after_ms"] > 0 and int(answer.headers["retry-after"]) > 0
        finally:
            bed.callbridge.stop()
