# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Black-box scenarios with a homeserver that does as it is told; docs/scenarios.md lists all, each with its tests."""

import json
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from TestBed.matrix import CALL_MEMBER, http
from TestBed.places import REPOSITORY
from TestBed.processes import wait_until
from TestBed.server_api import claims_of
from TestBed.signalling import Signalling
from TestBed.stub_bed import StubBed, session, sticky
from TestBed.stub_homeserver import Reply, StubHomeserver, unknown

PATHS = ["/sfu/get", "/get_token", "/delegate_delayed_leave"]


@pytest.fixture(scope="module")
def stub() -> Iterator[StubHomeserver]:
    with StubHomeserver() as homeserver:
        yield homeserver


@pytest.fixture(scope="module")
def bed(stub: StubHomeserver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubBed]:
    bed = StubBed(tmp_path_factory.mktemp("scenarios"), stub)
    bed.start()
    try:
        yield bed
    finally:
        bed.callbridge.stop()


def connected(bed: StubBed, user, answer: dict, new_participant):
    participant = new_participant(user.user_id.split("-")[0][1:])
    participant.connect(answer["url"], answer["jwt"])
    return participant


# MARK: Tokens


class TestTokens:
    @pytest.mark.parametrize("path", PATHS)
    def test_f1_an_openid_token_nobody_knows(self, bed: StubBed, path: str) -> None:
        alice = bed.stub.user("alice")
        body = alice.body(path, bed.stub.room(alice), delay_id="d", delay_timeout=8000)
        body["openid_token"]["access_token"] = "nobody knows it"
        answer = bed.post(path, body)
        assert (answer.status, answer.errcode) == (401, "M_UNAUTHORIZED"), answer.text

    @pytest.mark.parametrize("path", ["/get_token", "/delegate_delayed_leave"])
    def test_f2_a_user_other_than_claimed(self, bed: StubBed, path: str) -> None:
        alice, mallory = bed.stub.user("alice"), bed.stub.user("mallory")
        body = alice.body(path, bed.stub.room(alice, mallory), delay_id="d", delay_timeout=8000)
        body["openid_token"] = bed.stub.token(mallory.user_id)
        answer = bed.post(path, body)
        assert (answer.status, answer.errcode) == (401, "M_UNAUTHORIZED"), answer.text
        assert answer.json["callbridge.reason"] == "userDiffersFromClaim"

    @pytest.mark.parametrize("path", PATHS)
    def test_f3_a_user_of_another_server_than_vouches(self, bed: StubBed, path: str) -> None:
        alice = bed.stub.user("alice")
        body = alice.body(path, bed.stub.room(alice), delay_id="d", delay_timeout=8000)
        body["openid_token"] = bed.stub.token("@alice:elsewhere.test")
        answer = bed.post(path, body)
        assert (answer.status, answer.errcode) == (401, "M_UNAUTHORIZED"), answer.text
        assert answer.json["callbridge.reason"] == "userOfOtherServer"

    def test_f5_f6_a_server_without_full_access(self, stub: StubHomeserver, tmp_path: Path) -> None:
        """A token and no room; its users hand over no delayed leave, and nothing is kept of the wish."""
        bed = StubBed(tmp_path, stub, full_access_homeservers=["elsewhere.test"])
        bed.start()
        try:
            alice = stub.user("alice")
            room = stub.room(alice)
            token = bed.post("/get_token", alice.slot_body(room))
            assert token.status == 200, token.text
            early = http("GET", bed.callbridge.url + "/rtc/validate", token=token.json["jwt"])
            assert early.status == 404, "the room was not made"
            delay = {"delay_id": stub.delay(room), "delay_timeout": 8000}
            for path, status, errcode in [("/sfu/get", 400, "M_BAD_JSON"), ("/get_token", 400, "M_BAD_JSON"),
                                          ("/delegate_delayed_leave", 403, "M_FORBIDDEN")]:
                answer = bed.post(path, alice.body(path, room, **delay))
                assert (answer.status, answer.errcode) == (status, errcode), (path, answer.text)
            assert not bed.orders() and not stub.actions(delay["delay_id"])
        finally:
            bed.callbridge.stop()

    @pytest.mark.parametrize("path", ["/sfu/get", "/get_token"])
    @pytest.mark.parametrize("field", [{"delay_id": "d"}, {"delay_timeout": 8000}])
    def test_f7_one_delay_field_without_the_other(self, bed: StubBed, path: str, field: dict) -> None:
        alice = bed.stub.user("alice")
        answer = bed.post(path, alice.body(path, bed.stub.room(alice), **field))
        assert (answer.status, answer.errcode) == (400, "M_BAD_JSON"), answer.text

    @pytest.mark.parametrize("path", PATHS)
    def test_f8_a_truncated_body(self, bed: StubBed, path: str) -> None:
        whole = json.dumps(bed.stub.user("alice").body(path, "!room:stub.test", delay_id="d", delay_timeout=1)).encode()
        for length in (0, 1, len(whole) // 2, len(whole) - 1):
            answer = bed.post(path, whole[:length])
            assert (answer.status, answer.errcode) == (400, "M_NOT_JSON"), (length, answer.text)

    @pytest.mark.parametrize("path", PATHS)
    def test_f9_methods_and_cross_origin(self, bed: StubBed, path: str) -> None:
        url = bed.callbridge.url + path
        preflight = http("OPTIONS", url, headers={
            "Origin": "https://app.example", "Access-Control-Request-Method": "POST"})
        assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (200, "*")
        wrong = http("GET", url, headers={"Origin": "https://app.example"})
        assert (wrong.status, wrong.text, wrong.headers["access-control-allow-origin"]) == (405, "", "*")

    @pytest.mark.parametrize("settings,status", [
        ({}, 401), ({"insecure_accept_any_tls_certificates": True}, 401),
        ({"insecure_accept_any_tls_certificate": True}, 200),
    ], ids=["strict", "misspelt", "switched off"])
    def test_f10_a_certificate_nobody_vouches_for(self, tmp_path: Path, settings: dict, status: int) -> None:
        with StubHomeserver(certificate=tmp_path) as homeserver:
            bed = StubBed(tmp_path / "callbridge", homeserver, **settings)
            bed.callbridge.start()
            try:
                alice = homeserver.user("alice")
                for path in ("/sfu/get", "/get_token"):
                    answer = bed.post(path, alice.body(path, homeserver.room(alice)))
                    assert answer.status == status, answer.text
            finally:
                bed.callbridge.stop()

    def test_f11_names_are_stable_over_a_restart(self, bed: StubBed) -> None:
        alice, bob = bed.stub.user("alice"), bed.stub.user("bob")
        room = bed.stub.room(alice, bob)

        def names() -> list[tuple[str, str]]:
            found = []
            for user in (alice, bob):
                claims = claims_of(bed.post("/get_token", user.slot_body(room)).json["jwt"])
                found.append((claims["video"]["room"], claims["sub"]))
            return found
        before = names()
        assert before[0][0] == before[1][0] and before[0][1] != before[1][1]
        assert bed.callbridge.stop() == 0
        bed.start()
        assert names() == before

    def test_f12_somebody_who_is_not_in_the_room(self, bed: StubBed) -> None:
        alice, mallory = bed.stub.user("alice"), bed.stub.user("mallory")
        room = bed.stub.room(alice)
        for path in PATHS:
            answer = bed.post(path, mallory.body(path, room, delay_id=bed.stub.delay(room), delay_timeout=8000))
            assert (answer.status, answer.errcode) == (403, "M_FORBIDDEN"), answer.text
            assert answer.json["callbridge.reason"] == "notJoined"

    @pytest.mark.long
    @pytest.mark.limit(200)
    def test_f14_a_homeserver_that_fails_takes_nobody_out(self, bed: StubBed, new_participant) -> None:
        """The bot is not in the room, so the sweep asks: trouble removes nobody, a clear no does."""
        alice = bed.stub.user("alice")
        room = bed.stub.room(alice)
        participant = connected(bed, alice, bed.post("/sfu/get", alice.compatibility_body(room)).json, new_participant)
        for trouble in (unknown(500, "M_UNKNOWN"), unknown(429, "M_LIMIT_EXCEEDED")):
            bed.stub.trouble = trouble
            try:
                time.sleep(35)  # longer than the time between two sweeps
            finally:
                bed.stub.trouble = None
            assert not participant.saw("disconnected")
        bed.stub.members[room].discard(alice.user_id)
        participant.wait_for("disconnected", seconds=60)


# MARK: Delegated delayed leaves


class TestDelegatedLeaves:
    def test_d1_never_connected_is_sent_once(self, bed: StubBed) -> None:
        alice = bed.stub.user("alice")
        began = time.monotonic()
        delay_id, _ = bed.hand_over(alice, bed.stub.room(alice), 3_000)
        wait_until(lambda: bed.stub.actions(delay_id) == ["send"], 30, "the leave is sent")
        assert bed.stub.times(delay_id, "send")[0] - began >= 3
        wait_until(lambda: delay_id not in bed.orders(), 20, "nothing is left of the order")
        time.sleep(3)
        assert bed.stub.actions(delay_id) == ["send"]

    def test_d2_connected_before_the_order_is_restarted(self, bed: StubBed, new_participant) -> None:
        alice = bed.stub.user("alice")
        room = bed.stub.room(alice)
        token = bed.post("/get_token", alice.slot_body(room))
        connected(bed, alice, token.json, new_participant)
        delay_id, answer = bed.hand_over(alice, room, 60_000, "/delegate_delayed_leave")
        assert answer == {}
        wait_until(lambda: bed.stub.actions(delay_id) == ["restart"], 20, "the event is restarted")

    def test_d3_aborted_before_there_was_media_ends_without_a_word(self, bed: StubBed) -> None:
        alice = bed.stub.user("alice")
        delay_id, answer = bed.hand_over(alice, bed.stub.room(alice), 60_000)
        with Signalling(bed.callbridge, answer["jwt"]) as socket:
            time.sleep(3)  # long enough to be noticed, too short for the wait for media
            socket.abort()
        wait_until(lambda: delay_id not in bed.orders(), 60, "the order is over")
        assert not bed.stub.actions(delay_id)

    @pytest.mark.limit(180)
    @pytest.mark.parametrize("how", ["leave", "kill"])
    def test_d4_d5_gone_with_and_without_a_goodbye_is_sent(self, bed: StubBed, new_participant, how: str) -> None:
        alice = bed.stub.user("alice")
        delay_id, answer = bed.hand_over(alice, bed.stub.room(alice), 60_000)
        participant = connected(bed, alice, answer, new_participant)
        wait_until(lambda: bed.stub.actions(delay_id) == ["restart"], 20, "the focus saw the participant")
        getattr(participant, how)()
        wait_until(lambda: bed.stub.actions(delay_id)[-1] == "send", 60, "the leave is sent")
        assert bed.stub.actions(delay_id).count("send") == 1

    def test_d6_restarts_come_well_before_the_delay_is_over(self, bed: StubBed, new_participant) -> None:
        """About every 80 % of the delay; exactly so in the unit test, which makes the time."""
        alice = bed.stub.user("alice")
        delay_id, answer = bed.hand_over(alice, bed.stub.room(alice), 5_000)
        connected(bed, alice, answer, new_participant)
        wait_until(lambda: len(bed.stub.times(delay_id, "restart")) >= 4, 60, "four restarts")
        times = bed.stub.times(delay_id, "restart")
        assert all(later - earlier >= 3.9 for earlier, later in zip(times, times[1:])), times
        assert "send" not in bed.stub.actions(delay_id)

    def test_d7_a_restart_that_finds_nothing_ends_the_order(self, bed: StubBed, new_participant) -> None:
        alice = bed.stub.user("alice")
        delay_id, answer = bed.hand_over(alice, bed.stub.room(alice), 60_000)
        bed.stub.answer(delay_id, "restart", unknown(404, "M_NOT_FOUND"))
        participant = connected(bed, alice, answer, new_participant)
        wait_until(lambda: delay_id not in bed.orders(), 30, "the order is over")
        participant.leave()
        time.sleep(3)
        assert bed.stub.actions(delay_id) == ["restart"]

    def test_d8_a_send_that_finds_nothing_is_success(self, bed: StubBed) -> None:
        alice = bed.stub.user("alice")
        delay_id, _ = bed.hand_over(alice, bed.stub.room(alice), 2_000)
        bed.stub.answer(delay_id, "send", unknown(404, "M_NOT_FOUND"))
        wait_until(lambda: delay_id not in bed.orders(), 30, "the order is over")
        assert bed.stub.actions(delay_id) == ["send"]

    @pytest.mark.parametrize("headers,more,waits", [
        ({"Retry-After": "3"}, {}, 3), ({}, {"retry_after_ms": 2500}, 2.5), ({}, {}, 0.5),
    ], ids=["header", "body", "neither"])
    def test_d9_too_many_requests_is_waited_for(self, bed: StubBed, new_participant, headers: dict, more: dict,
                                                waits: float) -> None:
        """With a word of the homeserver as long as that says, else with a back-off."""
        alice = bed.stub.user("alice")
        delay_id, answer = bed.hand_over(alice, bed.stub.room(alice), 60_000)
        limited = Reply(429, {"errcode": "M_LIMIT_EXCEEDED", "error": "slowly", **more}, headers)
        bed.stub.answer(delay_id, "send", limited)
        participant = connected(bed, alice, answer, new_participant)
        wait_until(lambda: bed.stub.actions(delay_id) == ["restart"], 20, "the focus saw the participant")
        participant.leave()
        wait_until(lambda: len(bed.stub.times(delay_id, "send")) == 2, 40, "it is tried again")
        first, second = bed.stub.times(delay_id, "send")
        assert second - first >= waits
        wait_until(lambda: delay_id not in bed.orders(), 20, "nothing is left of the order")

    def test_d10_only_the_newest_order_of_an_identity_acts(self, bed: StubBed, new_participant) -> None:
        alice = bed.stub.user("alice")
        room = bed.stub.room(alice)
        old, _ = bed.hand_over(alice, room, 60_000)
        new, answer = bed.hand_over(alice, room, 60_000)
        participant = connected(bed, alice, answer, new_participant)
        wait_until(lambda: bed.stub.actions(new) == ["restart"], 20, "the newer one is restarted")
        participant.leave()
        wait_until(lambda: bed.stub.actions(new)[-1] == "send", 40, "the newer one is sent")
        assert not bed.stub.actions(old)

    def test_d11_one_of_two_identities_leaves(self, bed: StubBed, new_participant) -> None:
        alice, bob = bed.stub.user("alice"), bed.stub.user("bob")
        room = bed.stub.room(alice, bob)
        delays, participants = {}, {}
        for user in (alice, bob):
            delays[user.user_id], answer = bed.hand_over(user, room, 60_000)
            participants[user.user_id] = connected(bed, user, answer, new_participant)
        for delay_id in delays.values():
            wait_until(lambda: bed.stub.actions(delay_id) == ["restart"], 20, "both are restarted")
        participants[bob.user_id].leave()
        wait_until(lambda: bed.stub.actions(delays[bob.user_id])[-1] == "send", 40, "bob's leave is sent")
        assert bed.stub.actions(delays[alice.user_id]) == ["restart"]
        assert delays[alice.user_id] in bed.orders()

    def test_d12_orders_survive_our_death(self, bed: StubBed) -> None:
        """One whose event is alive goes on; one whose event was sent meanwhile is purged."""
        alice, bob = bed.stub.user("alice"), bed.stub.user("bob")
        kept, _ = bed.hand_over(alice, bed.stub.room(alice), 60_000)
        expired, _ = bed.hand_over(bob, bed.stub.room(bob), 60_000)
        bed.callbridge.kill()
        del bed.stub.delayed[expired]
        bed.start()
        wait_until(lambda: bed.stub.actions(kept) == ["restart"], 20, "the order goes on")
        wait_until(lambda: expired not in bed.orders(), 20, "the other is purged")
        assert kept in bed.orders()
        assert bed.stub.actions(expired) == ["restart"]


# MARK: The roster


class TestRoster:
    @pytest.mark.parametrize("changes,reason", [
        ({"device_id": None}, "missingDeviceID"), ({"call_id": None}, "missingCallID"),
        ({"call_id": "other"}, "callNotOfRoom"), ({"application": "m.board"}, "otherApplication"),
        ({"created_ts": 1, "expires": 1000}, "expired"), ({"expires": -1}, "invalidExpiry"),
    ])
    def test_m10_an_unusable_membership_is_ignored(self, bed: StubBed, changes: dict, reason: str) -> None:
        alice = bed.stub.user("alice")
        room, before = bed.stub.room(alice), bed.refused_events(reason)
        assert bed.stub.push(bed.callbridge, session(alice, room, **changes)).status == 200
        wait_until(lambda: bed.refused_events(reason) == before + 1, 20, "it is counted")
        assert not bed.calls(room)

    def test_m10_a_sender_who_left_or_never_came_is_ignored(self, bed: StubBed) -> None:
        alice, mallory = bed.stub.user("alice"), bed.stub.user("mallory")
        bot, room = f"@callbot:{bed.stub.server_name}", bed.stub.room(alice)
        bed.stub.states[room] = [
            bed.stub.state_event(room, "m.room.create", "", {"room_version": "11"}),
            *(bed.stub.state_event(room, "m.room.member", user, {"membership": "join"}, user)
              for user in (alice.user_id, bot)),
        ]
        try:
            # The bot comes to the room, whose state is read then.
            assert bed.stub.push(bed.callbridge, bed.stub.state_event(
                room, "m.room.member", bot, {"membership": "join"}, bot)).status == 200
            before = bed.refused_events("senderNotJoined")
            wait_until(lambda: self.is_refused(bed, mallory, room, before), 30, "a stranger's membership is refused")
            assert bed.stub.push(bed.callbridge, session(alice, room)).status == 200
            wait_until(lambda: bed.calls(room), 20, "a member's counts")
            assert [member["user_id"] for member in bed.calls(room)[0]["members"]] == [alice.user_id]
            gone = bed.stub.state_event(room, "m.room.member", alice.user_id, {"membership": "leave"}, alice.user_id)
            assert bed.stub.push(bed.callbridge, gone, session(alice, room)).status == 200
            wait_until(lambda: not bed.calls(room), 20, "who left is in no call")
        finally:
            del bed.stub.states[room]

    @staticmethod
    def is_refused(bed: StubBed, user, room: str, before: int) -> bool:
        """Until the room's state is known, a stranger's membership cannot be told from a member's."""
        bed.stub.push(bed.callbridge, session(user, room))
        bed.stub.push(bed.callbridge, bed.stub.state_event(
            room, CALL_MEMBER, f"_{user.user_id}_{user.device_id}_m.call", {}, user.user_id))
        return bed.refused_events("senderNotJoined") > before

    def test_m11_sticky_wins_over_state(self, bed: StubBed) -> None:
        alice = bed.stub.user("alice")
        room = bed.stub.room(alice)
        bed.stub.push(bed.callbridge, session(alice, room), sticky(alice, room))
        call = wait_until(lambda: bed.calls(room), 20, "there is a call")[0]
        assert [member["generation"] for member in call["members"]] == ["sticky draft"]

    @pytest.mark.parametrize("changes,reason", [
        ({"slot_id": "m.callROOM"}, "malformedSlotID"), ({"slot_id": "m.call#RO#OM"}, "malformedSlotID"),
        ({"slot_id": "m.board#ROOM"}, "slotApplicationMismatch"),
        ({"member": {"id": "member-1", "user_id": "@other:stub.test", "device_id": "D"}}, "memberOfOtherUser"),
        ({"msc4354_sticky_key": "member-2"}, "stickyKeyMismatch"),
    ])
    def test_m12_a_sticky_membership_that_contradicts_itself(self, bed: StubBed, changes: dict, reason: str) -> None:
        alice = bed.stub.user("alice")
        room, before = bed.stub.room(alice), bed.refused_events(reason)
        bed.stub.push(bed.callbridge, sticky(alice, room, **changes))
        wait_until(lambda: bed.refused_events(reason) == before + 1, 20, "it is counted")
        assert not bed.calls(room)

    def test_m13_of_two_sticky_events_the_later_expiry_wins(self, bed: StubBed) -> None:
        alice = bed.stub.user("alice")
        room, before = bed.stub.room(alice), bed.refused_events("superseded")
        now, name = int(time.time() * 1000), uuid.uuid4().hex
        events = [sticky(alice, room, f"${letter}{name}", duration, application={
            "type": "m.call", "m.call.intent": intent})
            for letter, duration, intent in [("b", 600_000, "audio"), ("c", 500_000, "video"), ("a", 600_000, "video")]]
        for event in events:
            event["origin_server_ts"] = now
        bed.stub.push(bed.callbridge, *events)
        wait_until(lambda: bed.refused_events("superseded") == before + 2, 20, "an earlier expiry, a smaller event id")
        assert [member["intent"] for member in bed.calls(room)[0]["members"]] == ["audio"]

    def test_m14_m15_a_call_starts_once_and_ends_once(self, bed: StubBed) -> None:
        """With the first member and the last, however many come at once; other applications are no part of it."""
        users = [bed.stub.user(name) for name in ("alice", "bob", "carol")]
        room = bed.stub.room(*users)

        def said(what: str) -> int:
            return sum(what in line and room in line for line in bed.callbridge.process.log.read_text().splitlines())
        board = session(users[0], room, application="m.board")
        board["state_key"] += "x"
        bed.stub.push(bed.callbridge, board, *(session(user, room) for user in users))
        wait_until(lambda: bed.calls(room) and len(bed.calls(room)[0]["members"]) == 3, 20, "three members")
        leaves = [bed.stub.state_event(room, CALL_MEMBER, f"_{user.user_id}_{user.device_id}_m.call", {}, user.user_id)
                  for user in users]
        bed.stub.push(bed.callbridge, *leaves[:2])
        wait_until(lambda: len(bed.calls(room)[0]["members"]) == 1, 20, "one member")
        assert said("A call ended") == 0
        bed.stub.push(bed.callbridge, leaves[2])
        wait_until(lambda: not bed.calls(room), 20, "no call")
        wait_until(lambda: said("A call ended") == 1, 20, "the end is said")
        assert said("A call started") == 1


# MARK: The table


def test_every_test_of_the_table_exists() -> None:
    """What docs/scenarios.md names is there, and it names every scenario once."""
    table = (REPOSITORY / "docs" / "scenarios.md").read_text()
    sources = {path.name: path.read_text() for folder in ("Acceptance", "MatrixBridgeTests", "CallEventsTests",
                                                         "OlmE2EETests", "TURNCredsTests")
               for path in (REPOSITORY / "Tests" / folder).rglob("*") if path.suffix in (".py", ".swift")}
    named = re.findall(r"`(\w+\.(?:py|swift))`((?:[ ,]*`\w+`)*)", table)
    assert len(named) > 40
    for file, tests in named:
        for test in re.findall(r"`(\w+)`", tests):
            assert re.search(rf"(?:def|func) {test}\(", sources[file]), (file, test)
    rows = re.findall(r"^\| ([A-Z]\d+) \|", table, re.MULTILINE)
    wanted = ([f"F{n}" for n in range(1, 15)] + [f"D{n}" for n in range(1, 13)] + [f"M{n}" for n in range(10, 16)]
              + [f"M{n}" for n in range(1, 10)] + [f"A{n}" for n in range(1, 6)] + [f"K{n}" for n in range(1, 12)]
              + ["E1", "E2", "T1", "T2"] + [f"L{n}" for n in range(1, 9)])
    assert rows == wanted
