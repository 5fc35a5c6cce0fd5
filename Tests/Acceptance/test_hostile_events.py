# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Events that no client writes, in transactions of a homeserver: counted, answered 200, nothing lost behind them."""

import copy
import json
import random
import re
import time
import uuid
from collections.abc import Iterator

import pytest

from TestBed.matrix import CALL_MEMBER, http
from TestBed.processes import wait_until
from TestBed.stub_bed import StubBed, session, sticky
from TestBed.stub_homeserver import StubHomeserver, StubUser

SEED = 20261121
ODD = [None, True, -1, 2**53, 2**63, 1e308, -0.5, "", "x" * 300, "\u0000\u202e", "#", "@a:b", "!r", [], [None, {}], {},
       [[[[[[[[]]]]]]]], {"a": {"b": {"c": []}}}]


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubBed]:
    with StubHomeserver() as stub:
        bed = StubBed(tmp_path_factory.mktemp("hostile"), stub)
        bed.start()
        try:
            yield bed
        finally:
            assert bed.callbridge.process.is_running
            assert bed.callbridge.stop() == 0


def message(user: StubUser, room: str, kind: str, content: dict, **more: object) -> dict:
    return {"type": kind, "room_id": room, "sender": user.user_id, "event_id": f"${uuid.uuid4().hex}",
            "origin_server_ts": int(time.time() * 1000), "content": content, **more}


def every_shape(user: StubUser, room: str) -> list[dict]:
    """One event of every type that is read."""
    stub = user.homeserver

    def state(kind: str, key: str, content: dict) -> dict:
        return stub.state_event(room, kind, key, content, user.user_id)
    reference = {"m.relates_to": {"rel_type": "m.reference", "event_id": "$event"}}
    call = {"call_id": "c", "party_id": "p", "version": "1"}
    description = {"type": "offer", "sdp": "v=0"}
    return [
        session(user, room), sticky(user, room),
        message(user, room, "m.rtc.member", {
            "slot_id": "m.call#room", "application": {"type": "m.call"}, "sticky_key": "m",
            "member": {"id": "m", "membership": "join"},
            "transports": {"published": [{"type": "m.livekit", "url": "wss://x"}], "can_subscribe": ["m.livekit"]}},
            msc4354_sticky={"duration_ms": 3_600_000}),
        state("m.rtc.slot", "m.call#room", {"status": "open", "application": {"type": "m.call"}}),
        message(user, room, "org.matrix.msc4075.rtc.notification", {
            "notification_type": "ring", "sender_ts": 1, "lifetime": 30000, "m.mentions": {"room": True}, **reference}),
        message(user, room, "m.rtc.notification", {
            **reference, "application": {
                "type": "m.call", "notification_type": "ring", "sender_ts": 1, "lifetime": 1}}),
        message(user, room, "org.matrix.msc4075.call.notify", {
            "notify_type": "ring", "application": "m.call", "call_id": "", "m.mentions": {"user_ids": ["@b:c"]}}),
        message(user, room, "org.matrix.msc4310.rtc.decline", reference),
        state("m.room.member", user.user_id, {"membership": "join"}),
        state("m.room.power_levels", "", {"users": {user.user_id: 100}, "events": {CALL_MEMBER: 0}, "kick": 50}),
        state("m.room.create", "", {"room_version": "12", "additional_creators": [user.user_id]}),
        state("m.room.tombstone", "", {"body": "moved", "replacement_room": "!next:stub.test"}),
        state("m.room.encryption", "", {"algorithm": "m.megolm.v1.aes-sha2"}),
        message(user, room, "m.room.message", {"msgtype": "m.text", "body": "!call help"}),
        message(user, room, "m.room.redaction", {"redacts": "$event"}, redacts="$event"),
        message(user, room, "m.call.invite", {**call, "offer": description, "lifetime": 60000}),
        message(user, room, "m.call.candidates", {**call, "candidates": [{"candidate": "c", "sdpMid": "0"}]}),
        message(user, room, "m.call.answer", {**call, "answer": {**description, "type": "answer"}}),
        message(user, room, "m.call.select_answer", {**call, "selected_party_id": "q"}),
        message(user, room, "m.call.negotiate", {**call, "description": description, "lifetime": 1}),
        message(user, room, "m.call.hangup", {**call, "reason": "user_busy"}),
        message(user, room, "m.call.reject", call),
        message(user, room, "m.call.sdp_stream_metadata_changed", {
            **call, "sdp_stream_metadata": {"s": {"purpose": "m.usermedia"}}}),
        message(user, room, "m.call.asserted_identity", {**call, "asserted_identity": {"id": "@c:d"}}),
    ]


def places(value: object, path: tuple = ()) -> Iterator[tuple]:
    """The paths of everything inside."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield (*path, key)
        yield from places(part, (*path, key))


def changed(event: dict, chance: random.Random) -> dict:
    """A copy with one place removed or replaced; often inside the content."""
    event = copy.deepcopy(event)
    path = chance.choice(list(places(event)))
    holder = event
    for key in path[:-1]:
        holder = holder[key]
    if isinstance(holder, dict) and chance.random() < 0.3:
        del holder[path[-1]]
    else:
        holder[path[-1]] = chance.choice(ODD)
    return event


def total_refused(bed: StubBed) -> int:
    page = http("GET", f"http://127.0.0.1:{bed.metrics}/metrics").text
    return sum(int(count) for count in re.findall(r'callbridge_event_refused_total{reason="\w+"} (\d+)', page))


def processed(bed: StubBed) -> None:
    wait_until(lambda: bed.callbridge.rows("SELECT count(*) FROM transactions WHERE body IS NOT NULL") == [(0,)], 60,
               "every transaction is processed")


def test_every_shape_spoiled_at_every_place(bed: StubBed) -> None:
    """Each place of each event takes an odd value once, and seeded ones take several."""
    chance = random.Random(SEED)
    mallory, alice = bed.stub.user("mallory"), bed.stub.user("alice")
    room, other = bed.stub.room(mallory), bed.stub.room(alice)
    before = total_refused(bed)
    for shape in every_shape(mallory, room):
        spoiled = []
        for path in places(shape):
            event = copy.deepcopy(shape)
            holder = event
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = chance.choice(ODD)
            spoiled.append(event)
        for _ in range(30):
            event = shape
            for _ in range(chance.randrange(1, 4)):
                event = changed(event, chance)
            spoiled.append(event)
        for event in spoiled:
            # Otherwise all but the first would be repetitions.
            if event.get("event_id") == shape["event_id"]:
                event["event_id"] = f"${uuid.uuid4().hex}"
        answer = bed.stub.push(bed.callbridge, *spoiled, session(alice, other))
        assert (answer.status, answer.json) == (200, {}), shape["type"]
    processed(bed)
    assert total_refused(bed) > before + 300
    assert [member["user_id"] for member in bed.calls(other)[0]["members"]] == [alice.user_id]
    assert bed.callbridge.is_ready()


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b'"events"', b"\xff\xfe", b'{"events":{}}', b'{"events":[[],{},7,null,"x"]}',
    b'{"events":' + b"[" * 100_000, b'{"events":[' + b"{}," * 200_000 + b"{}]}",
], ids=range(10))
def test_a_broken_transaction_is_answered_and_blocks_nothing(bed: StubBed, body: bytes) -> None:
    token = re.search(r"^hs_token:\s*\"?([^\"\s]+)", bed.callbridge.registration.read_text(), re.MULTILINE)[1]
    answer = http("PUT", f"{bed.callbridge.url}/_matrix/app/v1/transactions/{uuid.uuid4().hex}", body, token)
    assert (answer.status, answer.json) == (200, {})
    alice = bed.stub.user("alice")
    room = bed.stub.room(alice)
    bed.stub.push(bed.callbridge, session(alice, room))
    wait_until(lambda: bed.calls(room), 30, "what comes behind counts")


def test_forged_state_keys(bed: StubBed) -> None:
    """Who writes under another's key takes that membership out of the state, and gets nothing for it."""
    alice, mallory = bed.stub.user("alice"), bed.stub.user("mallory")
    room, before = bed.stub.room(alice, mallory), bed.refused_events("stateKeyOfOtherUser")
    bed.stub.push(bed.callbridge, session(alice, room))
    wait_until(lambda: bed.calls(room), 20, "alice is in the call")
    forged = {**session(mallory, room), "state_key": f"_{alice.user_id}_{alice.device_id}_m.call"}
    of_another_device = {**session(mallory, room), "state_key": f"_{alice.user_id}_OTHER_m.call"}
    bed.stub.push(bed.callbridge, of_another_device)
    wait_until(lambda: bed.refused_events("stateKeyOfOtherUser") == before + 1, 20, "it is counted")
    assert [member["user_id"] for member in bed.calls(room)[0]["members"]] == [alice.user_id]
    bed.stub.push(bed.callbridge, forged)
    wait_until(lambda: bed.refused_events("stateKeyOfOtherUser") == before + 2, 20, "it is counted")
    wait_until(lambda: not bed.calls(room), 20, "what the state does not hold any more is no membership")


def test_replays(bed: StubBed) -> None:
    """The same transaction again, the same events under another name, and in another order: one effect."""
    alice, bob = bed.stub.user("alice"), bed.stub.user("bob")
    room = bed.stub.room(alice, bob)
    leave = bed.stub.state_event(room, CALL_MEMBER, f"_{alice.user_id}_{alice.device_id}_m.call", {}, alice.user_id)
    events = [session(alice, room), session(bob, room), leave]
    name = uuid.uuid4().hex
    for _ in range(2):
        assert bed.stub.push(bed.callbridge, *events, transaction=name).status == 200
    for order in (events, events[::-1], [events[0]]):
        assert bed.stub.push(bed.callbridge, *order).status == 200
    processed(bed)
    assert [member["user_id"] for member in bed.calls(room)[0]["members"]] == [bob.user_id]
    log = bed.callbridge.process.log.read_text().splitlines()
    assert sum("A call started" in line and room in line for line in log) == 1


@pytest.mark.limit(180)
def test_ten_thousand_members(bed: StubBed) -> None:
    """The last one gets a token, a stranger does not, and one who leaves is known at once."""
    users = [f"@u{number}:{bed.stub.server_name}" for number in range(10_000)]
    room, bot = bed.stub.room(), f"@callbot:{bed.stub.server_name}"
    bed.stub.members[room] = {*users, bot}
    bed.stub.states[room] = [
        bed.stub.state_event(room, "m.room.create", "", {"room_version": "11"}),
        bed.stub.state_event(room, "m.room.power_levels", "", {"events": {CALL_MEMBER: 0}}),
        *(bed.stub.state_event(room, "m.room.member", user, {"membership": "join"}, user) for user in [*users, bot])]
    try:
        bed.stub.push(bed.callbridge, bed.stub.state_event(room, "m.room.member", bot, {"membership": "join"}, bot))
        last, stranger = StubUser(bed.stub, users[-1], "D"), bed.stub.user("stranger")
        assert bed.post("/sfu/get", last.compatibility_body(room)).status == 200
        refused = bed.post("/sfu/get", stranger.compatibility_body(room))
        assert (refused.status, refused.json["callbridge.reason"]) == (403, "notJoined")
        # Six thousand announce themselves, more than the roster takes of one room.
        before = bed.refused_events("tooManyMembershipsInRoom")
        for start in range(0, 6_000, 500):
            members = [StubUser(bed.stub, user, "D") for user in users[start:start + 500]]
            assert bed.stub.push(bed.callbridge, *(session(member, room) for member in members)).status == 200
        processed(bed)
        assert len(bed.calls(room)[0]["members"]) == 5_000
        assert bed.refused_events("tooManyMembershipsInRoom") == before + 1_000
        gone = bed.stub.state_event(room, "m.room.member", users[-1], {"membership": "leave"}, users[-1])
        bed.stub.members[room].discard(users[-1])
        bed.stub.push(bed.callbridge, gone)
        wait_until(lambda: bed.post("/sfu/get", last.compatibility_body(room)).status == 403, 20, "the leave is known")
    finally:
        del bed.stub.states[room]


def test_fifty_megabytes(bed: StubBed) -> None:
    """At the limit it is taken, with what stands at its end. Above it is answered 200 all the same, as the homeserver would
    repeat it for ever; the rooms are read anew."""
    token = re.search(r"^hs_token:\s*\"?([^\"\s]+)", bed.callbridge.registration.read_text(), re.MULTILINE)[1]
    alice = bed.stub.user("alice")
    room = bed.stub.room(alice)
    filler = message(alice, room, "m.room.message", {"msgtype": "m.text", "body": "x" * (1 << 20)})
    events = [{**filler, "event_id": f"${uuid.uuid4().hex}"} for _ in range(49)] + [session(alice, room)]
    url = bed.callbridge.url + "/_matrix/app/v1/transactions/"
    large = json.dumps({"events": events}).encode()
    assert http("PUT", url + uuid.uuid4().hex, large, token, seconds=100).status == 200
    wait_until(lambda: bed.calls(room), 60, "its last event counts")
    # A session that only the state tells of: the event was in what is thrown away.
    other = bed.stub.room(alice)
    joined = bed.stub.state_event(other, "m.room.member", alice.user_id, {"membership": "join"}, alice.user_id)
    bed.stub.states[other] = [session(alice, other), joined]
    too_large = json.dumps({"events": [filler]}).encode() + b" " * (50 << 20)
    assert http("PUT", url + uuid.uuid4().hex, too_large, token, seconds=100).status == 200
    assert bed.count("callbridge_transaction_refused_total", "tooLarge") == 1
    # Once a minute at most, and they were when the bed started.
    wait_until(lambda: bed.calls(other), 90, "the rooms are read anew")
    del bed.stub.states[other]
    assert http("PUT", url + uuid.uuid4().hex, too_large, "wrong", seconds=100).status == 403
    assert bed.callbridge.is_ready()
