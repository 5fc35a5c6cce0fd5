# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""The bot's echo in calls: what people hear and see with Synapse and the LiveKit SDK, and how its membership fares with a
homeserver that does as it is told."""

import re
import subprocess
import time
from collections.abc import Iterator

import pytest
from test_bot import AdminRoom

from TestBed.bed import MatrixBed
from TestBed.leg_homeserver import LegHomeserver
from TestBed.matrix import CALL_MEMBER, MatrixError, User
from TestBed.media import pitch_of
from TestBed.processes import wait_until
from TestBed.stub_bed import StubBed
from TestBed.stub_homeserver import Reply, StubUser, unknown


# MARK: With Synapse

@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MatrixBed]:
    with MatrixBed.administered(tmp_path_factory.mktemp("echo")) as matrix:
        yield matrix


@pytest.fixture(scope="module")
def desk(bed: MatrixBed) -> AdminRoom:
    return AdminRoom(bed, bed.admin)


class Call:
    """A room with the bot, and the bot's membership in its call."""

    def __init__(self, bed: MatrixBed, desk: AdminRoom, user: User):
        self.desk, self.user, self.bot = desk, user, desk.bot
        body: dict = {"preset": "private_chat", "invite": [desk.bot],
                      "power_level_content_override": {"events": {CALL_MEMBER: 0}}}
        self.room = user.call("POST", "/_matrix/client/v3/createRoom", body)["room_id"]
        wait_until(lambda: desk.bot in user.members(self.room), 30, "the bot accepts")
        # A room's state is read after the join; until then nothing is known of it.
        wait_until(lambda: "not in a call" in desk.ask(f"echo {self.room} off")["body"], 30, "the bot answers")

    @property
    def key(self) -> str:
        return f"_{self.bot}_ECHO_m.call"

    def membership(self) -> dict:
        """The content; empty when the bot left, or was never there."""
        try:
            return self.user.state(self.room, CALL_MEMBER, self.key)
        except MatrixError as error:
            assert error.answer.status == 404, error
            return {}

    def begin(self) -> dict:
        reply = wait_until(lambda: self.if_known(self.desk.ask(f"echo {self.room}")), 30, "the bot knows the room")
        assert "comes back" in reply["body"] or "coming back" in reply["body"], reply["body"]
        return reply

    @staticmethod
    def if_known(reply: dict) -> dict | None:
        return None if "I am not in that room" in reply["body"] else reply


@pytest.mark.limit(180)
def test_who_is_alone_in_a_call_hears_himself(bed: MatrixBed, desk: AdminRoom, new_participant) -> None:
    alice = bed.user("alice")
    call = Call(bed, desk, alice)
    alice.join_call(call.room, bed.callbridge.url)
    token = bed.call_token(alice, call.room)
    assert token.status == 200, token.text
    participant = new_participant("alice")
    participant.connect(token.json["url"], token.json["jwt"])
    participant.do("publish_audio")
    call.begin()
    echo = f"{call.bot}:ECHO"
    membership = call.membership()
    assert membership["device_id"] == "ECHO" and membership["foci_preferred"][0]["type"] == "livekit"
    assert membership["membershipID"] == echo and membership["expires"] == 4 * 3600 * 1000
    participant.wait_for("track_subscribed", who=echo, track="echo", seconds=30)
    wanted = pitch_of(alice.call_identity)

    def hears() -> dict | None:
        heard = participant.counts(echo, "echo")
        return heard if heard.get("level", 0) > 300 and abs(heard["pitch"] - wanted) < 5 else None
    heard = wait_until(hears, 40, "the tone comes back")
    print(f"sent {wanted} Hz, heard {heard['pitch']} Hz at level {heard['level']}")
    # And it goes on doing so.
    windows = heard["windows"]
    wait_until(lambda: participant.counts(echo, "echo")["windows"] >= windows + 6, 30, "three seconds more")
    assert hears(), participant.counts(echo, "echo")
    assert "with my echo" in desk.ask("calls")["body"]
    assert re.search(rf"echo in {re.escape(call.room)}, for \d+ s: is here", desk.ask("status")["body"])
    assert "ECHO" in bed.callbridge.command("calls", "--config", str(bed.callbridge.configuration_file))
    assert "already" in desk.ask(f"echo {call.room}")["body"]
    assert "left the call" in desk.ask(f"echo {call.room} off")["body"]
    participant.wait_for("participant_disconnected", who=echo)
    assert call.membership() == {}


def sent_by_echo(bed: MatrixBed) -> int:
    """Bytes that the echo has written into its signalling socket: the connection of Callbridge with itself."""
    port = bed.callbridge.url.rsplit(":", 1)[1]
    said = subprocess.run(["ss", "-tinpHO", "state", "established", f"( dport = :{port} )"], check=True,
                          capture_output=True, text=True).stdout
    [own] = [line for line in said.splitlines() if f"pid={bed.callbridge.process.pid}," in line]
    return int(re.search(r"bytes_sent:(\d+)", own)[1])


@pytest.mark.limit(180)
def test_with_a_camera_in_the_call_the_echo_is_as_quiet_as_without(bed: MatrixBed, desk: AdminRoom,
                                                                   new_participant) -> None:
    alice = bed.user("alice")
    call = Call(bed, desk, alice)
    alice.join_call(call.room, bed.callbridge.url)
    token = bed.call_token(alice, call.room)
    participant = new_participant("alice")
    participant.connect(token.json["url"], token.json["jwt"])
    participant.do("publish_audio")
    call.begin()
    echo = f"{call.bot}:ECHO"
    participant.wait_for("track_subscribed", who=echo, track="echo", seconds=30)
    wanted = pitch_of(alice.call_identity)

    def hears() -> bool:
        heard = participant.counts(echo, "echo")
        return heard.get("level", 0) > 300 and abs(heard["pitch"] - wanted) < 5
    wait_until(hears, 40, "the tone comes back")
    before = sent_by_echo(bed)
    participant.do("publish_video")
    # An offer for every round of a negotiation that leads nowhere would be thirty of 900 bytes.
    time.sleep(5)
    sent = sent_by_echo(bed) - before
    print(f"{sent} bytes in the five seconds after the camera came")
    assert sent < 4_000
    # Sound that comes later still finds its way.
    participant.do("unpublish", name="audio")
    windows = participant.counts(echo, "echo")["windows"]
    participant.do("publish_audio", name="again")
    wait_until(lambda: participant.counts(echo, "echo")["windows"] > windows + 2 and hears(), 40, "the tone is back")
    call.desk.ask(f"echo {call.room} off")


@pytest.mark.limit(180)
def test_each_of_two_who_speak_at_once_has_a_turn(bed: MatrixBed, desk: AdminRoom, new_participant) -> None:
    alice, bob = bed.user("alice"), bed.user("bob")
    call = Call(bed, desk, alice)
    alice.call("POST", f"/_matrix/client/v3/rooms/{call.room}/invite", {"user_id": bob.user_id})
    bob.join(call.room)
    participants = []
    for user in (alice, bob):
        user.join_call(call.room, bed.callbridge.url)
        token = bed.call_token(user, call.room)
        assert token.status == 200, token.text
        participants.append(new_participant(user.user_id))
        participants[-1].connect(token.json["url"], token.json["jwt"])
        participants[-1].do("publish_audio")
    call.begin()
    echo = f"{call.bot}:ECHO"
    participants[0].wait_for("track_subscribed", who=echo, track="echo", seconds=30)
    for user in (alice, bob, alice):
        def hears(wanted: float = pitch_of(user.call_identity)) -> bool:
            heard = participants[0].counts(echo, "echo")
            return heard.get("level", 0) > 300 and abs(heard["pitch"] - wanted) < 5
        wait_until(hears, 40, f"the turn of {user.user_id}")
    call.desk.ask(f"echo {call.room} off")


@pytest.mark.limit(150)
def test_a_death_of_ours_takes_the_echo_out_of_the_call(bed: MatrixBed, desk: AdminRoom) -> None:
    """The homeserver sends the leave that was left with it; whoever comes back before goes on as the same member."""
    alice = bed.user("alice")
    call = Call(bed, desk, alice)
    alice.join_call(call.room, bed.callbridge.url)
    call.begin()
    before = call.membership()
    assert before
    bed.callbridge.kill()
    bed.start_callbridge()
    wait_until(lambda: "is here" in desk.ask("status")["body"], 40, "the echo is back")
    assert call.membership() == before, "the same membership, once"
    bed.callbridge.kill()
    try:
        wait_until(lambda: call.membership() == {}, 60, "the homeserver sends the delayed leave")
    finally:
        bed.start_callbridge()
    # The wish is alive: it joins anew, as another member.
    again = wait_until(call.membership, 40, "the echo joins again")
    assert again["created_ts"] > before["created_ts"]
    assert "left the call" in desk.ask(f"echo {call.room} off")["body"]
    assert call.membership() == {}
    # Told to go, it stays away also after the next start.
    assert bed.callbridge.stop() == 0
    bed.start_callbridge()
    assert "echo in" not in desk.ask("status")["body"]


def test_an_orderly_end_of_ours_says_goodbye(bed: MatrixBed, desk: AdminRoom) -> None:
    alice = bed.user("alice")
    call = Call(bed, desk, alice)
    alice.join_call(call.room, bed.callbridge.url)
    call.begin()
    assert bed.callbridge.stop() == 0
    try:
        assert call.membership() == {}
    finally:
        bed.start_callbridge()
    assert "echo in" not in desk.ask("status")["body"]


@pytest.mark.parametrize("how", ["kick", "redaction"])
def test_an_echo_that_is_put_out_of_the_call_leaves_it(bed: MatrixBed, desk: AdminRoom, how: str) -> None:
    alice = bed.user("alice")
    call = Call(bed, desk, alice)
    alice.join_call(call.room, bed.callbridge.url)
    call.begin()
    if how == "kick":
        assert "taken out" in desk.ask(f"kick {call.bot} {call.room}")["body"]
    else:
        state = alice.call("GET", f"/_matrix/client/v3/rooms/{call.room}/state")
        event = next(event for event in state if event["type"] == CALL_MEMBER and event["state_key"] == call.key)
        alice.call("PUT", f"/_matrix/client/v3/rooms/{call.room}/redact/{event['event_id']}/1", {})
    wait_until(lambda: "echo in" not in desk.ask("status")["body"], 30, "the echo is gone")
    assert call.membership() == {}


@pytest.mark.limit(120)
def test_who_removes_the_bot_removes_its_echo(bed: MatrixBed, desk: AdminRoom, new_participant) -> None:
    alice = bed.user("alice")
    call = Call(bed, desk, alice)
    alice.join_call(call.room, bed.callbridge.url)
    token = bed.call_token(alice, call.room)
    participant = new_participant("alice")
    participant.connect(token.json["url"], token.json["jwt"])
    call.begin()
    participant.wait_for("track_subscribed", who=f"{call.bot}:ECHO", track="echo", seconds=30)
    alice.call("POST", f"/_matrix/client/v3/rooms/{call.room}/kick", {"user_id": call.bot})
    participant.wait_for("participant_disconnected", who=f"{call.bot}:ECHO", seconds=30)
    wait_until(lambda: "echo in" not in desk.ask("status")["body"], 30, "the echo is gone")


# MARK: Membership, with a homeserver that does as it is told

@pytest.fixture(scope="module")
def stub() -> Iterator[LegHomeserver]:
    with LegHomeserver() as homeserver:
        yield homeserver


@pytest.fixture(scope="module")
def admin(stub: LegHomeserver) -> StubUser:
    return stub.user("admin")


@pytest.fixture(scope="module")
def stub_bed(stub: LegHomeserver, admin: StubUser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubBed]:
    bed = StubBed(tmp_path_factory.mktemp("legs"), stub, admins=[admin.user_id])
    stub.callbridge = bed.callbridge
    bed.start()
    try:
        yield bed
    finally:
        bed.callbridge.stop()


class TestMembership:
    @pytest.fixture(autouse=True)
    def setting(self, stub: LegHomeserver, stub_bed: StubBed, admin: StubUser) -> Iterator[None]:
        self.stub, self.bed, self.admin = stub, stub_bed, admin
        self.desk = stub.bot_room(admin)
        self.alice = stub.user("alice")
        self.room = ""
        yield
        stub.next_replies.clear()
        if self.room:
            stub.ask(admin, self.desk, f"echo {self.room} off", "left the call", "not in a call", "did not take")

    def begin(self, expected: str = "coming back", **room: object) -> str:
        self.room = self.stub.bot_room(self.alice, **room)
        self.stub.in_call(self.alice, self.room)

        def asked() -> str | None:
            said = self.stub.ask(self.admin, self.desk, f"echo {self.room}", expected, "There will be", "There is no")
            return None if "I am not in that room" in said else said
        said = wait_until(asked, 40, "the bot knows the room")
        assert expected in said, (said, self.stub.kinds(self.room))
        return said

    def end(self, expected: str = "left the call") -> None:
        self.stub.ask(self.admin, self.desk, f"echo {self.room} off", expected)

    def wait_for(self, *kinds: str, seconds: float = 30) -> None:
        wait_until(lambda: self.stub.kinds(self.room)[:len(kinds)] == list(kinds), seconds,
                   f"{kinds}; so far {self.stub.kinds(self.room)}")

    def notices(self, name: str) -> int:
        return self.bed.count("callbridge_leg_memberships_total", name)

    def test_m1_schedule_announce_restart(self) -> None:
        self.begin()
        schedule, announce, restart = self.stub.of(self.room)[:3]
        assert (schedule.kind, schedule.delay, schedule.content) == ("schedule", 30_000, {})
        assert announce.kind == "announce" and announce.content["application"] == "m.call"
        assert restart.kind == "restart" and restart.at - schedule.at < 5, "at once"
        assert schedule.key == announce.key == f"_{self.stub.bot}_ECHO_m.call"
        # And again, well before the delay is over.
        wait_until(lambda: self.stub.kinds(self.room).count("restart") >= 2, 25, "the next restart")
        times = [request.at for request in self.stub.of(self.room, "restart")]
        assert 8 < times[1] - times[0] < 20, times

    def test_m2_without_delayed_events(self) -> None:
        before = self.notices("delayedEventsUnsupported")
        self.stub.next_replies["schedule"] = [unknown(403, "M_FORBIDDEN")]
        self.begin()
        assert self.stub.kinds(self.room) == ["schedule", "announce"]
        assert self.notices("delayedEventsUnsupported") == before + 1
        self.end()
        assert self.stub.kinds(self.room) == ["schedule", "announce", "leave"]

    def test_m3_too_many_requests_are_waited_for(self) -> None:
        limited = Reply(429, {"errcode": "M_LIMIT_EXCEEDED", "error": "slowly", "retry_after_ms": 2_500})
        self.stub.next_replies["schedule"] = [limited]
        self.begin()
        first, second = self.stub.of(self.room, "schedule")
        assert 2.4 < second.at - first.at < 15, (first, second)
        assert self.stub.kinds(self.room)[:4] == ["schedule", "schedule", "announce", "restart"]

    def test_m4_a_delay_that_is_too_long(self) -> None:
        self.stub.next_replies["schedule"] = [Reply(400, {
            "errcode": "ORG.MATRIX.MSC4140_DELAY_TOO_LARGE",
            "error": "The requested delay (30000ms) exceeds the allowed maximum (12000ms)"})]
        self.begin()
        assert [request.delay for request in self.stub.of(self.room, "schedule")] == [30_000, 12_000]
        assert self.stub.kinds(self.room)[2:4] == ["announce", "restart"]

    def test_m5_a_restart_finds_nothing(self) -> None:
        self.begin()
        before = self.notices("rejoined")
        self.stub.delayed.clear()
        self.wait_for("schedule", "announce", "restart", "restart", "schedule", "announce", "restart")
        first, second = self.stub.of(self.room, "announce")
        assert second.content["created_ts"] > first.content["created_ts"]
        assert self.notices("rejoined") == before + 1

    def test_a_leave_whose_id_was_lost_is_cancelled_before_the_next(self) -> None:
        self.begin()
        self.end()
        before = len(self.stub.kinds(self.room))
        lost = self.stub.hold_leave(self.room, f"_{self.stub.bot}_ECHO_m.call")
        other = self.stub.hold_leave(self.room, f"_{self.alice.user_id}_D_m.call")
        self.stub.ask(self.admin, self.desk, f"echo {self.room}", "coming back")
        assert self.stub.kinds(self.room)[before:before + 4] == ["cancel", "schedule", "announce", "restart"]
        assert lost not in self.stub.delayed and other in self.stub.delayed

    @pytest.mark.parametrize("content", [{}, {"application": "m.call", "call_id": "", "device_id": "X"}],
                             ids=["gone", "overwritten"])
    def test_m6_a_membership_that_is_lost_is_announced_again(self, content: dict) -> None:
        self.begin()
        wait_until(lambda: len(self.members()) == 2, 20, "the membership is seen")
        self.stub.overwrite(self.room, content, self.admin.user_id)
        # At once where the keeper, which looks twice a second, has seen it before; else after thirty seconds.
        wait_until(lambda: len(self.stub.of(self.room, "announce")) >= 2, 60, "it is announced again")
        first, second = self.stub.of(self.room, "announce")[:2]
        assert first.content == second.content and first.key == second.key

    def members(self) -> list[dict]:
        return [member for call in self.bed.calls(self.room) for member in call["members"]]

    def test_m7_a_delayed_leave_that_fails(self) -> None:
        self.begin()
        self.stub.next_replies["send"] = [unknown(500, "M_UNKNOWN")]
        self.end()
        assert self.stub.kinds(self.room)[-2:] == ["send", "leave"]
        leave = self.stub.of(self.room, "leave")[0]
        assert leave.content == {} and leave.key == self.stub.of(self.room, "announce")[0].key

    def test_m7_a_delayed_leave_that_is_sent(self) -> None:
        self.begin()
        self.end()
        assert self.stub.kinds(self.room)[-1] == "send" and "leave" not in self.stub.kinds(self.room)

    @pytest.mark.parametrize("version", ["org.matrix.msc3757.11", "org.matrix.msc3779.11"])
    def test_m9_room_versions_with_own_state_keys(self, version: str) -> None:
        self.begin(version=version)
        assert {request.key for request in self.stub.of(self.room)} == {f"{self.stub.bot}_ECHO_m.call"}

    def test_a_homeserver_that_refuses_the_membership(self) -> None:
        self.stub.next_replies["announce"] = [unknown(403, "M_FORBIDDEN")]
        said = self.begin("There is no echo")
        assert "M_FORBIDDEN" in said

    def test_it_leaves_when_nobody_else_is_there_for_a_minute(self) -> None:
        self.begin()
        self.stub.push(self.bed.callbridge, self.stub.state_event(
            self.room, CALL_MEMBER, f"_{self.alice.user_id}_{self.alice.device_id}_m.call", {}, self.alice.user_id))
        began = time.monotonic()
        wait_until(lambda: self.stub.kinds(self.room)[-1] == "send", 90, "it leaves")
        assert time.monotonic() - began > 55
        assert "not in a call" in self.stub.ask(self.admin, self.desk, f"echo {self.room} off", "not in a call")
