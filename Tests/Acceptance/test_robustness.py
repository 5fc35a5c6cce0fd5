# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""A homeserver that is away, and a Callbridge that dies at any moment: nothing is lost, and nothing is done twice."""

import json
import random
import re
import threading
import time

import pytest

from TestBed.bed import MatrixBed
from TestBed.matrix import CALL_MEMBER, User, http, part
from TestBed.processes import wait_until

SEED = 20261121
KILLS = 20


def watched_room(bed: MatrixBed, *users: User) -> str:
    room = bed.room(*users)
    bot = f"@callbot:{bed.callbridge.server_name}"
    users[0].invite(room, bot)
    wait_until(lambda: bot in users[0].members(room), 20, "the bot accepts the invitation")
    return room


def roster(bed: MatrixBed, room: str) -> set[str]:
    """Users in the call of the room, as the database has it."""
    found = set()
    for room_id, entry in bed.callbridge.rows("SELECT room_id, entry FROM roster_entries"):
        value = json.loads(bytes(entry))
        if room_id == room and value.get("membership"):
            found.add(value["sender"])
    return found


def in_call(user: User, room: str) -> set[str]:
    """The same as the homeserver has it."""
    state = user.call("GET", f"/_matrix/client/v3/rooms/{part(room)}/state")
    return {event["sender"] for event in state if event["type"] == CALL_MEMBER and event["content"]}


@pytest.mark.limit(420)
def test_killed_at_twenty_points_in_the_middle_of_transactions(bed: MatrixBed) -> None:
    chance = random.Random(SEED)
    users = [bed.user("alice"), bed.user("bob"), bed.user("carol")]
    room = watched_room(bed, *users)
    is_over = threading.Event()
    sent = [0]

    def toggle() -> None:
        while not is_over.is_set():
            user = users[sent[0] % len(users)]
            if sent[0] // len(users) % 2:
                user.leave_call(room)
            else:
                user.join_call(room, bed.callbridge.url)
            sent[0] += 1
    traffic = threading.Thread(target=toggle)
    traffic.start()
    try:
        for _ in range(KILLS):
            before = sent[0]
            wait_until(lambda: sent[0] >= before + 3, 60, "events flow")
            time.sleep(chance.uniform(0, 0.3))
            bed.callbridge.kill()
            bed.callbridge.start()
            wait_until(bed.callbridge.is_ready, 60, "Callbridge is ready again")
    finally:
        is_over.set()
        traffic.join()
    users[0].join_call(room, bed.callbridge.url)
    users[1].leave_call(room)
    wait_until(lambda: roster(bed, room) == in_call(users[0], room), 60, "the roster is what the room's state is")
    assert users[0].user_id in roster(bed, room) and users[1].user_id not in roster(bed, room)
    twice = bed.callbridge.rows("SELECT event_id FROM applied_events GROUP BY event_id HAVING count(*) > 1")
    assert not twice
    assert bed.callbridge.rows("SELECT count(*) FROM transactions WHERE body IS NOT NULL") == [(0,)]


@pytest.mark.long
@pytest.mark.limit(300)
def test_a_homeserver_that_is_away_for_a_minute(bed: MatrixBed, new_participant) -> None:
    alice, bob = bed.user("alice"), bed.user("bob")
    room = watched_room(bed, alice, bob)
    participants = []
    for user in (alice, bob):
        user.join_call(room, bed.callbridge.url)
        token = bed.call_token(user, room).json
        participant = new_participant(user.user_id.split("-")[0][1:])
        participant.connect(token["url"], token["jwt"])
        participant.do("publish_audio")
        participants.append(participant)
    wait_until(lambda: roster(bed, room) == {alice.user_id, bob.user_id}, 20, "both are in the roster")
    participants[0].wait_for("first_tone", publisher=bob.call_identity)
    late = alice.call_token_request(room)
    bed.synapse.process.kill()
    gone = time.monotonic()
    while time.monotonic() - gone < 60:
        answer = bed.callbridge.sfu_get(late)
        assert answer.status == 502 and "homeserver" in answer.json["error"], answer.text
        assert answer.json["callbridge.reason"] == "homeserverDown"
        before = participants[0].counts(bob.call_identity, "audio")["good"]
        participants[0].wait_for(
            "counts", lambda event: event["received"][f"{bob.call_identity}/audio"]["good"] > before, seconds=20)
        time.sleep(5)
    assert roster(bed, room) == {alice.user_id, bob.user_id}
    assert not any(participant.saw("disconnected") for participant in participants)
    bed.synapse.start()
    wait_until(lambda: bed.callbridge.sfu_get(alice.call_token_request(room)).status == 200, 90, "tokens again")
    bob.leave_call(room)
    wait_until(lambda: roster(bed, room) == {alice.user_id}, 90, "events arrive again")


def test_a_transaction_of_fifty_megabytes(bed: MatrixBed) -> None:
    token = re.search(r"^hs_token:\s*\"?([^\"\s]+)", bed.callbridge.registration.read_text(), re.MULTILINE)[1]
    url = bed.callbridge.url + "/_matrix/app/v1/transactions/"
    large = json.dumps({"events": [{"type": "m.room.message", "content": {"body": "x" * 1_000_000}}] * 49}).encode()
    assert http("PUT", url + "large", large, token, seconds=100).status == 200
    assert http("PUT", url + "too-large", b" " * ((50 << 20) + 1), token, seconds=100).status == 200
    wait_until(bed.callbridge.is_ready, 90, "it goes on")


def test_forged_and_odd_events_change_nothing(bed: MatrixBed) -> None:
    alice, bob = bed.user("alice"), bed.user("bob")
    room = watched_room(bed, alice, bob)
    alice.join_call(room, bed.callbridge.url)
    wait_until(lambda: roster(bed, room) == {alice.user_id}, 20, "alice is in the roster")
    token = re.search(r"^hs_token:\s*\"?([^\"\s]+)", bed.callbridge.registration.read_text(), re.MULTILINE)[1]
    url = bed.callbridge.url + "/_matrix/app/v1/transactions/"
    member = alice.state(room, CALL_MEMBER, alice.call_state_key)
    now = int(time.time() * 1000)

    def event(number: int, **changes: object) -> dict:
        return {"type": CALL_MEMBER, "room_id": room, "sender": bob.user_id, "event_id": f"$odd-{now}-{number}",
                "origin_server_ts": now, "state_key": "x", "content": member, **changes}
    odd = [
        # Somebody who never joined the room, a key that names another user, and things that are no events.
        event(1, sender=f"@stranger:{bed.callbridge.server_name}", content={**member, "device_id": 7}),
        event(2, content={**member, "application": "m.other"}),
        event(3, content={**member, "expires": -1}),
        event(4, type="m.room.power_levels", state_key="", content={"users": [], "events": 7, "users_default": {}}),
        event(5, type="m.room.member", state_key="nobody", content={"membership": "ban"}),
        event(6, sender="nobody"), event(7, room_id=7), event(8, content=[]), {}, 7, None, [],
    ]
    for index, body in enumerate([{"events": odd}, {"events": odd}, {"events": {}}, {"events": None}]):
        assert http("PUT", f"{url}odd-{now}-{index}", body, token).status == 200
    alice.leave_call(room)
    wait_until(lambda: roster(bed, room) == set(), 20, "a right event still counts")
    assert bed.callbridge.is_ready()
