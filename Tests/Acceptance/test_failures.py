# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""What goes wrong: killed clients, cut connections, forgotten participants, doubles, kicks, bad tokens, restarts."""

import time

import pytest
from livekit import api

from TestBed.callbridge import Callbridge
from TestBed.matrix import http
from TestBed.server_api import ask_for_socket, claims, hand_made, livekit_token, room_service
from TestBed.signal_proxy import SignalProxy

GONE_WITHIN = 20


@pytest.fixture
def proxy(focus: Callbridge, generation: str):
    with SignalProxy(focus.port, hides_v1=generation == "v0") as proxy:
        yield proxy


@pytest.fixture
def pair(focus: Callbridge, proxy: SignalProxy, room: str, new_participant):
    """Alice, whose signalling goes through the proxy and who publishes, and Bob, who sees her."""
    alice, bob = new_participant("alice"), new_participant("bob")
    bob.connect(focus.websocket_url, focus.token(room, "bob"))
    alice.connect(proxy.websocket_url, focus.token(room, "alice"))
    for participant in (alice, bob):
        participant.do("publish_video", width=320, height=180, rate=20, kilobits=300)
        participant.do("publish_audio")
    bob.wait_for("first_frame", publisher="alice")
    alice.wait_for("first_frame", publisher="bob")
    return alice, bob


def flows_again(receiver, sender: str, seconds: float = 20) -> None:
    """Pictures of the sender go on, counted from now."""
    before = receiver.counts(sender, "video")["good"]
    mark = receiver.mark
    receiver.wait_for("counts", lambda event: event["received"].get(f"{sender}/video", {}).get("good", 0) not in
                      range(before - 1, before + 20), seconds, since=mark)


def test_a_killed_client_is_gone_for_the_others(pair) -> None:
    alice, bob = pair
    mark = bob.mark
    alice.kill()
    bob.wait_for("participant_disconnected", who="alice", seconds=GONE_WITHIN, since=mark)


def test_a_cut_signal_connection_resumes_and_media_goes_on(pair, proxy: SignalProxy) -> None:
    alice, bob = pair
    alice_mark, bob_mark, asked = alice.mark, bob.mark, len(proxy.sockets)
    assert proxy.cut() >= 1
    alice.wait_for("reconnected", since=alice_mark, seconds=30)
    assert len(proxy.sockets) > asked
    assert "reconnect" in proxy.paths[-1] or proxy.paths[-1].startswith("/rtc/v1")
    flows_again(bob, "alice")
    flows_again(alice, "bob")
    alice.do("send_data", text="after the resume")
    bob.wait_for("data", text="after the resume", since=bob_mark)
    bob.do("send_data", text="and back")
    alice.wait_for("data", text="and back", since=alice_mark)
    # A resume keeps the participant: nobody left, and no track was published again.
    assert not bob.saw("participant_disconnected", since=bob_mark)
    assert not alice.saw("republished", since=alice_mark)
    # What is published afterwards is negotiated on the resumed connection.
    alice.do("publish_video", name="second", width=320, height=180, rate=10, kilobits=200)
    bob.wait_for("first_frame", publisher="alice", track="second", since=bob_mark)


def test_a_connection_may_be_cut_again_and_again(pair, proxy: SignalProxy) -> None:
    alice, bob = pair
    for _ in range(3):
        mark = alice.mark
        proxy.cut()
        alice.wait_for("reconnected", since=mark, seconds=30)
        flows_again(bob, "alice")


def test_a_resume_of_someone_forgotten_leads_to_a_full_reconnect(pair, proxy: SignalProxy) -> None:
    alice, bob = pair
    alice_mark, bob_mark = alice.mark, bob.mark
    old = bob.do("participants")["participants"]["alice"]["sid"]
    proxy.forgets = True
    proxy.cut()
    alice.wait_for("republished", since=alice_mark, seconds=40)
    proxy.forgets = False
    bob.wait_for("first_frame", publisher="alice", since=bob_mark, seconds=30)
    assert bob.do("participants")["participants"]["alice"]["sid"] != old
    alice.wait_for("first_frame", publisher="bob", since=alice_mark, seconds=30)


def test_without_signalling_media_goes_on(pair, proxy: SignalProxy) -> None:
    alice, bob = pair
    proxy.stalls = True
    mark = alice.mark
    proxy.cut()
    alice.wait_for("reconnecting", since=mark)
    # The client waits five seconds for an answer before it gives the connection up.
    flows_again(bob, "alice", seconds=4)
    proxy.stalls = False
    alice.wait_for("reconnected", since=mark, seconds=40)
    flows_again(alice, "bob")


def test_a_second_participant_of_one_identity_replaces_the_first(pair, focus: Callbridge, room: str,
                                                                 new_participant) -> None:
    alice, bob = pair
    alice_mark, bob_mark = alice.mark, bob.mark
    second = new_participant("second-alice")
    joined = second.connect(focus.websocket_url, focus.token(room, "alice"))
    alice.wait_for("disconnected", reason="DUPLICATE_IDENTITY", since=alice_mark)
    second.do("publish_video", name="video")
    bob.wait_for("first_frame", publisher="alice", since=bob_mark)
    assert bob.do("participants")["participants"]["alice"]["sid"] == joined["sid"]
    second.wait_for("first_frame", publisher="bob")


def test_a_participant_is_removed_by_the_server(pair, focus: Callbridge, room: str) -> None:
    alice, bob = pair
    alice_mark, bob_mark = alice.mark, bob.mark
    room_service(focus, lambda client: client.room.remove_participant(
        api.RoomParticipantIdentity(room=room, identity="alice")))
    alice.wait_for("disconnected", reason="PARTICIPANT_REMOVED", since=alice_mark, seconds=10)
    bob.wait_for("participant_disconnected", who="alice", since=bob_mark, seconds=10)


def test_deleting_the_room_ends_it_for_everybody(pair, focus: Callbridge, room: str) -> None:
    alice, bob = pair
    room_service(focus, lambda client: client.room.delete_room(api.DeleteRoomRequest(room=room)))
    for participant in (alice, bob):
        participant.wait_for("disconnected", reason="ROOM_DELETED", seconds=10)


ATTACKS = {
    "no token": (lambda focus, room: None, 401, "permissions denied"),
    "not a token": (lambda focus, room: "x.y.z", 401, "invalid authorization token"),
    "wrong secret": (lambda focus, room: hand_made(claims(focus, room, "eve"), "another secret of thirty-two letters"),
                     401, "invalid authorization token"),
    "unknown key": (lambda focus, room: hand_made(claims(focus, room, "eve", iss="nobody"), focus.api_secret),
                    401, "invalid API key"),
    "alg none": (lambda focus, room: hand_made(claims(focus, room, "eve"), "", "none"), 401,
                 "invalid authorization token"),
    "another algorithm": (lambda focus, room: hand_made(claims(focus, room, "eve"), focus.api_secret, "HS512"), 401,
                          "invalid authorization token"),
    "expired": (lambda focus, room: hand_made(claims(focus, room, "eve", exp=int(time.time()) - 120),
                                              focus.api_secret), 401, "invalid authorization token"),
    "no expiry": (lambda focus, room: hand_made(claims(focus, room, "eve", exp=None), focus.api_secret), 401,
                  "invalid authorization token"),
    "nbf in the future": (lambda focus, room: hand_made(claims(focus, room, "eve", nbf=int(time.time()) + 300),
                                                        focus.api_secret), 401, "invalid authorization token"),
    "no right to join": (lambda focus, room: livekit_token(focus, room, "eve", room_join=False, room_admin=True), 401,
                         "permissions denied"),
    "no identity": (lambda focus, room: hand_made(claims(focus, room, ""), focus.api_secret), 400,
                    "identity cannot be empty"),
    "no room": (lambda focus, room: hand_made(claims(focus, room, "eve", video={"roomJoin": True}), focus.api_secret),
                400, "no room name"),
    "identity too long": (lambda focus, room: livekit_token(focus, room, "e" * 300), 400, "exceeds limits"),
}


@pytest.mark.parametrize("path", ["/rtc/validate", "/rtc/v1/validate", "/rtc", "/rtc/v1"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_bad_tokens_are_refused_with_a_reason(focus: Callbridge, room: str, attack: str, path: str) -> None:
    token, status, text = ATTACKS[attack]
    # A join request of no bytes is a join with the defaults.
    target = path + ("?join_request=CAASAA==" if "/v1" in path else "")
    if path.endswith("validate"):
        answer = http("GET", focus.url + target, token=token(focus, room))
    else:
        answer = ask_for_socket(focus, target, token(focus, room))
    assert (answer.status, text in answer.text) == (status, True), answer.text
    assert answer.headers.get("access-control-allow-origin") == "*"


def test_a_refused_client_is_told_why(focus: Callbridge, room: str, new_participant) -> None:
    eve = new_participant("eve")
    token = hand_made(claims(focus, room, "eve", exp=int(time.time()) - 120), focus.api_secret)
    number = eve.start("connect", url=focus.websocket_url, token=token)
    failed = eve.wait_for_answer(number, 40)
    assert failed["event"] == "failed" and "invalid authorization token" in failed["error"], failed


def test_a_clock_that_is_a_little_off_is_forgiven(focus: Callbridge, room: str) -> None:
    for changes in ({"exp": int(time.time()) - 30}, {"nbf": int(time.time()) + 30}):
        token = hand_made(claims(focus, room, "late", **changes), focus.api_secret)
        assert http("GET", focus.url + "/rtc/validate", token=token).status == 200


@pytest.mark.limit(150)
def test_a_restarted_server_gets_its_participants_back(tmp_path, room: str, new_participant) -> None:
    server = Callbridge(tmp_path / "restarted", settings={"room": {"auto_create": True}})
    server.start()
    try:
        alice, bob = new_participant("alice"), new_participant("bob")
        for participant in (alice, bob):
            participant.connect(server.websocket_url, server.token(room, participant.name))
            participant.do("publish_video", width=320, height=180, rate=20, kilobits=300)
        bob.wait_for("first_frame", publisher="alice")
        marks = alice.mark, bob.mark
        server.kill()
        server.start()
        alice.wait_for("first_frame", publisher="bob", since=marks[0], seconds=60)
        bob.wait_for("first_frame", publisher="alice", since=marks[1], seconds=60)
        for participant in (alice, bob):
            participant.leave()
    finally:
        assert server.stop() == 0


def test_an_orderly_shutdown_says_goodbye(tmp_path, room: str, new_participant) -> None:
    server = Callbridge(tmp_path / "stopped", settings={"room": {"auto_create": True}})
    server.start()
    alice = new_participant("alice")
    alice.connect(server.websocket_url, server.token(room, "alice"))
    mark = alice.mark
    assert server.stop() == 0
    # Told to leave or to come back: the client learns of it at once either way.
    alice.wait_for("state", matches=lambda event: event["state"] != "CONN_CONNECTED", since=mark, seconds=5)


class TestRoomsThatMustExist:
    """With room.auto_create off."""

    @pytest.fixture(scope="class")
    def strict(self, tmp_path_factory: pytest.TempPathFactory):
        server = Callbridge(tmp_path_factory.mktemp("strict"), settings={"room": {"auto_create": False}})
        server.start()
        yield server
        server.stop()

    @pytest.mark.parametrize("path", ["/rtc/validate", "/rtc/v1/validate?join_request=CAASAA=="])
    def test_an_unknown_room_is_404(self, strict: Callbridge, room: str, path: str) -> None:
        answer = http("GET", strict.url + path, token=strict.token(room, "alice"))
        assert answer.status == 404 and "requested room does not exist" in answer.text

    def test_the_right_to_create_makes_it(self, strict: Callbridge, room: str) -> None:
        token = livekit_token(strict, room, "alice", room_create=True)
        assert http("GET", strict.url + "/rtc/validate", token=token).status == 200

    def test_a_room_made_by_the_api_can_be_joined(self, strict: Callbridge, room: str, new_participant) -> None:
        room_service(strict, lambda client: client.room.create_room(api.CreateRoomRequest(name=room)))
        alice = new_participant("alice")
        assert alice.connect(strict.websocket_url, strict.token(room, "alice"))["room"] == room
