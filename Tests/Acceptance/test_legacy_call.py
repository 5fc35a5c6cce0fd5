# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""One-to-one calls of the Matrix specification: a user calls the bot, and hears and sees himself."""

import re
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from TestBed.bed import MatrixBed
from TestBed.chromium_peer import ChromiumPeer
from TestBed.encrypted_device import EncryptedDevice
from TestBed.legacy_call import CallerEnd
from TestBed.matrix import User, http, part
from TestBed.processes import wait_until
from TestBed.stub_bed import StubBed
from TestBed.stub_homeserver import StubHomeserver, StubUser

CREATE_CALL = """async options => {
    const { LegacyCall } = await import("./legacy_call.js");
    window.call = new LegacyCall();
    return await call.offer(options);
}"""


class PrivateRoom:
    """A room of a user and the bot on a real homeserver."""

    def __init__(self, bed: MatrixBed, user: User):
        self.user = user
        self.bot = f"@callbot:{bed.callbridge.server_name}"
        self.room = user.call("POST", "/_matrix/client/v3/createRoom", {
            "preset": "trusted_private_chat", "is_direct": True, "invite": [self.bot]})["room_id"]
        wait_until(lambda: self.said("m.room.message"), 30, "the bot says hello")

    def said(self, kind: str, **wanted: object) -> list[dict]:
        """Contents of the bot's events of a type, oldest first."""
        events = self.user.call("GET", f"/_matrix/client/v3/rooms/{part(self.room)}/messages",
                                query={"dir": "b", "limit": 100})["chunk"]
        contents = [event["content"] for event in reversed(events)
                    if event["sender"] == self.bot and event["type"] == kind]
        return [content for content in contents if wanted.items() <= content.items()]

    def wait_for(self, kind: str, seconds: float = 20, **wanted: object) -> dict:
        return wait_until(lambda: self.said(kind, **wanted), seconds, f"the bot sends {kind}")[-1]

    def send(self, kind: str, content: dict) -> None:
        path = f"/_matrix/client/v3/rooms/{part(self.room)}/send/{kind}/{uuid.uuid4().hex}"
        self.user.call("PUT", path, content)

    def ask(self, command: str) -> str:
        """Gives the bot a command; returns its answer."""
        before = len(self.said("m.room.message"))
        self.send("m.room.message", {"msgtype": "m.text", "body": command})
        return wait_until(lambda: self.said("m.room.message")[before:], 20, f"the bot answers {command}")[-1]["body"]


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MatrixBed]:
    with MatrixBed.administered(tmp_path_factory.mktemp("legacy")) as matrix:
        yield matrix


def report_when(browser: ChromiumPeer, matches: Callable[[dict], bool], seconds: float, what: str) -> dict:
    """What the page says of its media, once it is as wanted."""
    deadline = time.monotonic() + seconds
    while True:
        report = browser.page.evaluate("() => call.report()")
        if matches(report):
            return report
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}; {report}\n{browser.log()}"
        browser.page.wait_for_timeout(200)


def sees_and_hears(report: dict, frames: int) -> bool:
    return report["frames"] >= frames and abs(report["pitch"] - report["wanted"]) < 5 and report["level"] > 0.01


def test_a_browser_hears_and_sees_itself(bed: MatrixBed) -> None:
    """Candidates first (L2), then the invite; media; hold and resumption by negotiation (L6); the bot's commands; the
    end."""
    chat = PrivateRoom(bed, bed.admin)
    caller = CallerEnd()
    with ChromiumPeer() as browser:
        offer = browser.page.evaluate(CREATE_CALL, {})
        candidates = browser.page.evaluate("() => call.trickled()")
        assert candidates
        chat.send("m.call.candidates", caller.content(candidates=[*candidates, {"candidate": ""}]))
        metadata = {offer["stream"]: {"purpose": "m.usermedia", "audio_muted": False, "video_muted": False}}
        chat.send("m.call.invite", caller.invite(offer["sdp"], sdp_stream_metadata=metadata))
        answer = chat.wait_for("m.call.answer", call_id=caller.call_id)
        assert answer["version"] == "1" and answer["answer"]["type"] == "answer"
        assert "a=ice-lite" in answer["answer"]["sdp"]
        assert chat.wait_for("m.call.candidates", call_id=caller.call_id)["candidates"] == [{"candidate": ""}]
        chat.send("m.call.select_answer", caller.content(selected_party_id=answer["party_id"]))
        browser.page.evaluate("sdp => call.answered(sdp)", answer["answer"]["sdp"])
        report = report_when(browser, lambda media: sees_and_hears(media, 30), 40, "own sound and pictures")
        assert report["size"] == "320x180"
        # Both tracks in the one stream that the answer speaks of.
        assert report["streams"] == list(answer["sdp_stream_metadata"])
        assert report["directions"] == ["sendrecv", "sendrecv"]
        assert bed.admin.user_id in chat.ask("calls") and "connected" in chat.ask("calls")
        assert "1 one-to-one calls with me" in chat.ask("status")

        def negotiate(options: dict) -> None:
            before = len(chat.said("m.call.negotiate"))
            sdp = browser.page.evaluate("options => call.offer(options)", options)["sdp"]
            chat.send("m.call.negotiate", caller.content(
                description={"type": "offer", "sdp": sdp}, lifetime=60_000, sdp_stream_metadata=metadata))
            replies = wait_until(lambda: chat.said("m.call.negotiate")[before:], 20, "the offer is answered")
            assert replies[0]["description"]["type"] == "answer"
            browser.page.evaluate("sdp => call.answered(sdp)", replies[0]["description"]["sdp"])
        negotiate({"hold": True})
        held = report_when(
            browser, lambda media: media["directions"] == ["sendonly", "sendonly"], 20, "the call is held")
        negotiate({"restart": True})
        report_when(browser, lambda media: sees_and_hears(media, held["frames"] + 30), 40, "media after the hold")

        assert "I hung up" in chat.ask("end")
        assert chat.wait_for("m.call.hangup", call_id=caller.call_id)["reason"] == "user_hangup"
        assert bed.callbridge.rows("SELECT * FROM legacy_calls") == []
        assert "No call runs" in chat.ask("calls")
        browser.page.evaluate("() => call.close()")


def test_the_bot_rings(bed: MatrixBed) -> None:
    """The bot calls a user who asks for it; two clients could answer, and the first one is chosen."""
    chat = PrivateRoom(bed, bed.admin)
    assert "should ring" in chat.ask("ring")
    invite = chat.wait_for("m.call.invite")
    assert invite["invitee"] == bed.admin.user_id and invite["version"] == "1"
    call = CallerEnd(call_id=invite["call_id"])
    with ChromiumPeer() as browser:
        sdp = browser.page.evaluate("""async sdp => {
            const { LegacyCall } = await import("./legacy_call.js");
            window.call = new LegacyCall();
            return await call.answer(sdp);
        }""", invite["offer"]["sdp"])
        chat.send("m.call.answer", call.content(answer={"type": "answer", "sdp": sdp}))
        assert chat.wait_for("m.call.select_answer")["selected_party_id"] == call.party_id
        report = report_when(browser, lambda media: sees_and_hears(media, 30), 40, "own sound and pictures")
        assert report["streams"] == list(invite["sdp_stream_metadata"])
        chat.send("m.call.hangup", call.content(reason="user_hangup"))
        wait_until(lambda: bed.callbridge.rows("SELECT * FROM legacy_calls") == [], 20, "the call is over")
        browser.page.evaluate("() => call.close()")


def test_l8_in_an_encrypted_room_everything_is_encrypted(bed: MatrixBed) -> None:
    """The key of the room is with the caller's device before the answer, and nothing of the call is in the clear."""
    device = EncryptedDevice(bed.user("caller"))
    bot = f"@callbot:{bed.callbridge.server_name}"
    room = device.user.call("POST", "/_matrix/client/v3/createRoom", {
        "preset": "trusted_private_chat", "is_direct": True, "invite": [bot],
        "initial_state": [{"type": "m.room.encryption", "state_key": "",
                           "content": {"algorithm": "m.megolm.v1.aes-sha2"}}]})["room_id"]

    def sent() -> list[dict]:
        """The bot's events as they are on the wire, oldest first."""
        chunk = device.user.call("GET", f"/_matrix/client/v3/rooms/{part(room)}/messages",
                                 query={"dir": "b", "limit": 100})["chunk"]
        return [event for event in reversed(chunk) if event["sender"] == bot and "state_key" not in event]

    def said(kind: str) -> list[dict]:
        device.receive()
        plain = [device.decrypt_room(room, event) for event in sent()]
        return [inner["content"] for inner in plain if inner["type"] == kind]
    wait_until(lambda: said("m.room.message"), 60, "the bot says hello")
    device.share_room_key(room, [bot])
    caller = CallerEnd()
    device.send_room(room, "m.call.invite", caller.invite())
    answer = wait_until(lambda: said("m.call.answer"), 60, "the bot answers")[0]
    assert answer["call_id"] == caller.call_id and "a=ice-lite" in answer["answer"]["sdp"]
    device.send_room(room, "m.call.select_answer", caller.content(selected_party_id=answer["party_id"]))
    device.send_room(room, "m.call.negotiate", caller.content(
        description={"type": "offer", "sdp": caller.invite()["offer"]["sdp"]}, lifetime=60_000))
    reply = wait_until(lambda: said("m.call.negotiate"), 60, "the bot answers the offer")[0]
    assert reply["description"]["type"] == "answer"
    device.send_room(room, "m.call.hangup", caller.content(reason="user_hangup"))
    wait_until(lambda: bed.callbridge.rows("SELECT * FROM legacy_calls") == [], 20, "the call is over")
    assert {event["type"] for event in sent()} == {"m.room.encrypted"}


class StubCalls:
    """Callbridge at the stub, and the calls of one user in a room."""

    def __init__(self, bed: StubBed):
        self.bed, self.stub = bed, bed.stub

    def room(self, user: StubUser, join_rule: str = "invite") -> str:
        """A room of a user and the bot that the bot will find at its next start."""
        room = f"!{uuid.uuid4().hex[:10]}:{self.stub.server_name}"
        bot = f"@callbot:{self.stub.server_name}"
        self.stub.states[room] = [
            self.stub.state_event(room, "m.room.create", "", {"room_version": "11"}, user.user_id),
            self.stub.state_event(room, "m.room.member", user.user_id, {"membership": "join"}, user.user_id),
            self.stub.state_event(room, "m.room.member", bot, {"membership": "join"}, bot),
            self.stub.state_event(room, "m.room.join_rules", "", {"join_rule": join_rule}, user.user_id),
        ]
        return room

    def say(self, user: StubUser, room: str, kind: str, content: dict, age: int = 0) -> None:
        event = {"type": kind, "room_id": room, "sender": user.user_id, "content": content,
                 "event_id": f"${uuid.uuid4().hex}", "origin_server_ts": int(time.time() * 1000) - age,
                 "unsigned": {"age": age}}
        assert self.stub.push(self.bed.callbridge, event).status == 200

    def sent(self, room: str, kind: str, call: CallerEnd) -> list[dict]:
        return [content for where, what, content in self.stub.sent
                if (where, what) == (room, kind) and content.get("call_id") == call.call_id]

    def heard(self, room: str, call: CallerEnd) -> list[str]:
        """The types of all events that the bot sent in a call."""
        return [what for where, what, content in self.stub.sent
                if where == room and content.get("call_id") == call.call_id]

    def invites(self, room: str) -> list[dict]:
        return [content for where, what, content in self.stub.sent if (where, what) == (room, "m.call.invite")]

    def wait_for(self, room: str, kind: str, call: CallerEnd, seconds: float = 20) -> dict:
        return wait_until(lambda: self.sent(room, kind, call), seconds, f"the bot sends {kind}")[-1]

    def figure(self, name: str, reason: str) -> int:
        page = http("GET", f"http://127.0.0.1:{self.bed.metrics}/metrics").text
        found = re.search(rf'callbridge_one_to_one_{name}_total{{reason="{reason}"}} (\d+)', page)
        return int(found[1]) if found else 0

    def wait_for_figure(self, name: str, reason: str, value: int) -> None:
        wait_until(lambda: self.figure(name, reason) >= value, 20, f"{name} {reason} is {value}")

    def answered(self, user: StubUser, room: str, version: str | int = "1") -> tuple[CallerEnd, dict]:
        """A call that the bot has answered."""
        call = CallerEnd(version)
        self.say(user, room, "m.call.invite", call.invite())
        return call, self.wait_for(room, "m.call.answer", call)


@pytest.fixture
def calls(tmp_path: object) -> Iterator[Callable[..., StubCalls]]:
    """Makes the bed; the rooms are made before its start."""
    beds: list[StubBed] = []
    with StubHomeserver() as stub:
        def make(**settings: object) -> StubCalls:
            beds.append(StubBed(tmp_path / "callbridge", stub, **settings))
            return StubCalls(beds[0])
        yield make
        for bed in beds:
            bed.callbridge.stop()


def started(calls: StubCalls, rooms: int) -> None:
    calls.bed.start()
    page = f"http://127.0.0.1:{calls.bed.metrics}/metrics"
    wait_until(lambda: f'callbridge_bot_rooms_total{{reason="stateRead"}} {rooms}' in http("GET", page).text, 20,
               "the bot knows its rooms")


def test_l1_invites_that_are_not_answered(calls: Callable[..., StubCalls]) -> None:
    line = calls()
    alice = line.stub.user("alice")
    private, public = line.room(alice), line.room(alice, "public")
    started(line, 2)
    late, foreign, open_ = CallerEnd(), CallerEnd(), CallerEnd()
    line.say(alice, private, "m.call.invite", late.invite(), age=58_000)
    line.say(alice, private, "m.call.invite", foreign.invite(invitee=f"@bob:{line.stub.server_name}"))
    line.say(alice, public, "m.call.invite", open_.invite())
    for reason in ("inviteTooOld", "otherInvitee", "publicRoom"):
        line.wait_for_figure("refused", reason, 1)
    # What came later is answered, so the others were looked at.
    call, _ = line.answered(alice, private)
    for room, silent in ((private, late), (private, foreign), (public, open_)):
        assert line.heard(room, silent) == []
    line.say(alice, private, "m.call.hangup", call.content())
    line.wait_for_figure("ended", "peerHungUp", 1)


def test_l3_l4_another_answer_and_other_parties(calls: Callable[..., StubCalls]) -> None:
    line = calls()
    alice = line.stub.user("alice")
    room = line.room(alice)
    started(line, 1)
    # L3: the caller takes another answer.
    call, answer = line.answered(alice, room)
    assert answer["party_id"] and len(line.bed.callbridge.rows("SELECT * FROM legacy_calls")) == 1
    line.say(alice, room, "m.call.select_answer", call.content(selected_party_id="ANOTHER"))
    line.wait_for_figure("ended", "answeredElsewhere", 1)
    wait_until(lambda: line.bed.callbridge.rows("SELECT * FROM legacy_calls") == [], 10, "the call is forgotten")
    assert line.heard(room, call) == ["m.call.answer", "m.call.candidates"]
    # L4: while it rings anybody of the caller may give up, afterwards only the party that calls.
    call, _ = line.answered(alice, room)
    line.say(alice, room, "m.call.hangup", call.content("OTHER"))
    line.wait_for_figure("ended", "peerHungUp", 1)
    call, answer = line.answered(alice, room)
    line.say(alice, room, "m.call.select_answer", call.content(selected_party_id=answer["party_id"]))
    line.say(alice, room, "m.call.hangup", call.content("OTHER"))
    line.wait_for_figure("refused", "otherParty", 1)
    assert line.figure("ended", "peerHungUp") == 1
    line.say(alice, room, "m.call.hangup", call.content())
    line.wait_for_figure("ended", "peerHungUp", 2)
    assert "m.call.hangup" not in line.heard(room, call)


def test_l5_invites_that_cross(calls: Callable[..., StubCalls]) -> None:
    line = calls()
    alice = line.stub.user("alice")
    room = line.room(alice)
    started(line, 1)

    def ring() -> CallerEnd:
        """A call of the bot, which rings."""
        before = line.invites(room)
        line.say(alice, room, "m.room.message", {"msgtype": "m.text", "body": "ring"})
        invite = wait_until(lambda: line.invites(room)[len(before):], 20, "the bot calls")[0]
        return CallerEnd(call_id=invite["call_id"])
    # "~" sorts after every call id of the bot, "!" before.
    ours, theirs = ring(), CallerEnd(call_id=f"~{uuid.uuid4().hex}")
    line.say(alice, room, "m.call.invite", theirs.invite())
    line.wait_for_figure("refused", "outranked", 1)
    assert line.heard(room, theirs) == [] and line.heard(room, ours) == ["m.call.invite"]
    line.say(alice, room, "m.call.reject", ours.content())
    line.wait_for_figure("ended", "peerHungUp", 1)

    ours, theirs = ring(), CallerEnd(call_id=f"!{uuid.uuid4().hex}")
    line.say(alice, room, "m.call.invite", theirs.invite())
    assert line.wait_for(room, "m.call.hangup", ours)["reason"] == "replaced"
    line.wait_for(room, "m.call.answer", theirs)


def test_l7_version_zero(calls: Callable[..., StubCalls]) -> None:
    line = calls(one_to_one_calls=1)
    alice, bob = line.stub.user("alice"), line.stub.user("bob")
    room, other = line.room(alice), line.room(bob)
    started(line, 2)
    call, answer = line.answered(alice, room, version=0)
    assert answer["version"] == 0 and "party_id" not in answer
    # One more than there may be is turned down: by a hang-up where there is no reject.
    old, new = CallerEnd(0), CallerEnd()
    line.say(bob, other, "m.call.invite", old.invite())
    assert line.wait_for(other, "m.call.hangup", old)["version"] == 0
    line.say(bob, other, "m.call.invite", new.invite())
    assert line.wait_for(other, "m.call.reject", new)["party_id"]
    assert line.figure("refused", "tooManyCalls") == 2
    line.say(alice, room, "m.call.negotiate", call.content(
        description={"type": "offer", "sdp": call.invite()["offer"]["sdp"]}, lifetime=60_000))
    line.wait_for_figure("refused", "notInVersionZero", 1)
    line.say(alice, room, "m.call.hangup", call.content())
    line.wait_for_figure("ended", "peerHungUp", 1)
    assert line.heard(room, call) == ["m.call.answer"]


def test_nobody_waits_for_a_process_that_was_killed(calls: Callable[..., StubCalls]) -> None:
    line = calls()
    alice = line.stub.user("alice")
    room = line.room(alice)
    started(line, 1)
    call, answer = line.answered(alice, room)
    line.bed.callbridge.kill()
    line.bed.start()
    hangup = line.wait_for(room, "m.call.hangup", call)
    assert hangup["party_id"] == answer["party_id"] and hangup["reason"] == "unknown_error"
    wait_until(lambda: line.bed.callbridge.rows("SELECT * FROM legacy_calls") == [], 10, "the call is forgotten")


def test_a_call_without_media_ends_and_says_why(calls: Callable[..., StubCalls]) -> None:
    line = calls()
    alice = line.stub.user("alice")
    room = line.room(alice)
    started(line, 1)
    call, _ = line.answered(alice, room)
    candidate = "candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host"
    line.say(alice, room, "m.call.candidates", call.content(candidates=[{"candidate": candidate, "sdpMid": "0"}]))
    assert line.wait_for(room, "m.call.hangup", call, 50)["reason"] == "ice_failed"
    text = wait_until(lambda: [content["body"] for where, kind, content in line.stub.sent
                               if (where, kind) == (room, "m.room.message") and "no media" in content["body"]], 10,
                      "the bot says why")[0]
    assert "1 addresses of its own, 0 seen from outside and 0 of relays" in text
    # A call that goes on when the process is asked to end is hung up.
    call, _ = line.answered(alice, room)
    line.bed.callbridge.stop()
    assert line.sent(room, "m.call.hangup", call)[0]["reason"] == "user_hangup"
