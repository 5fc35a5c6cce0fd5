# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Registered with Synapse: transactions, the roster, /sfu/get and its refusals, a dead homeserver."""

import hashlib
import json
import re
import secrets
import time
from base64 import b64encode

import pytest

from TestBed.bed import MatrixBed
from TestBed.callbridge import Callbridge
from TestBed.matrix import CALL_MEMBER, http
from TestBed.processes import wait_until
from TestBed.server_api import room_service


def registration_value(bed: MatrixBed, name: str) -> str:
    return re.search(rf"^{name}:\s*\"?([^\"\s]+)", bed.callbridge.registration.read_text(), re.MULTILINE)[1]


def room_hash(*parts: str) -> str:
    text = json.dumps(list(parts), separators=(",", ":"), ensure_ascii=False)
    return b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def entries(callbridge: Callbridge, room: str) -> list[str]:
    """The roster of a room as the database holds it."""
    rows = callbridge.rows("SELECT room_id, entry FROM roster_entries")
    return [bytes(entry).decode() if isinstance(entry, (bytes, memoryview)) else entry
            for room_id, entry in rows if room_id == room]


def watched_room(bed: MatrixBed, *users) -> str:
    """A room whose events reach us: our bot is a member."""
    room = bed.room(*users)
    bot = f"@callbot:{bed.callbridge.server_name}"
    users[0].invite(room, bot)
    wait_until(lambda: bot in users[0].members(room), 20, "the bot accepts the invitation")
    return room


class TestApplicationService:
    def test_the_registration_is_loaded_and_ping_works(self, bed: MatrixBed) -> None:
        token = registration_value(bed, "as_token")
        who = http("GET", bed.synapse.url + "/_matrix/client/v3/account/whoami", token=token)
        assert who.status == 200, who.text
        ping = http("POST", bed.synapse.url + "/_matrix/client/v1/appservice/callbridge/ping",
                    {"transaction_id": "acceptance"}, token)
        assert ping.status == 200 and ping.json["duration_ms"] >= 0, ping.text

    def test_transactions_need_the_token(self, bed: MatrixBed) -> None:
        url = bed.callbridge.url + "/_matrix/app/v1/transactions/forged"
        absent, wrong = http("PUT", url, {"events": []}), http("PUT", url, {"events": []}, "x" * 43)
        assert (absent.status, absent.errcode) == (401, "M_MISSING_TOKEN")
        assert (wrong.status, wrong.errcode) == (403, "M_FORBIDDEN")
        assert not bed.callbridge.rows("SELECT id FROM transactions WHERE id = 'forged'")

    def test_a_transaction_is_durable_before_its_answer_and_counts_once(self, bed: MatrixBed) -> None:
        name = f"test-{secrets.token_hex(4)}"
        url, token = f"{bed.callbridge.url}/_matrix/app/v1/transactions/{name}", registration_value(bed, "hs_token")
        for _ in range(2):
            answer = http("PUT", url, {"events": []}, token)
            assert (answer.status, answer.json) == (200, {})
        assert bed.callbridge.rows(f"SELECT count(*) FROM transactions WHERE id = '{name}'") == [(1,)]

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'{"events": 7}', b"[" * 100_000])
    def test_a_broken_transaction_does_no_harm(self, bed: MatrixBed, body: bytes) -> None:
        url = f"{bed.callbridge.url}/_matrix/app/v1/transactions/broken-{secrets.token_hex(4)}"
        answer = http("PUT", url, body, registration_value(bed, "hs_token"))
        assert answer.status in (200, 400), answer.text
        assert bed.callbridge.is_ready()

    def test_queries(self, bed: MatrixBed) -> None:
        token, base = registration_value(bed, "hs_token"), bed.callbridge.url + "/_matrix/app/v1"
        assert http("GET", f"{base}/rooms/%23nothing%3Acallbridge.test", token=token).errcode == "M_NOT_FOUND"
        assert http("GET", f"{base}/users/%40stranger%3Acallbridge.test", token=token).errcode == "M_NOT_FOUND"
        assert http("GET", f"{base}/users/%40stranger%3Acallbridge.test").status == 401

    def test_the_roster_follows_a_call_and_survives_a_kill(self, bed: MatrixBed) -> None:
        alice, bob = bed.user("alice"), bed.user("bob")
        room = watched_room(bed, alice, bob)
        alice.join_call(room, bed.callbridge.url)
        bob.join_call(room, bed.callbridge.url)
        for user in (alice, bob):
            wait_until(lambda: any(user.user_id in entry for entry in entries(bed.callbridge, room)), 20,
                       f"{user.user_id} is in the roster")
        bed.callbridge.kill()
        assert len(entries(bed.callbridge, room)) >= 2
        # What happens while we are down arrives afterwards.
        bob.leave_call(room)
        bed.callbridge.start()
        wait_until(bed.callbridge.is_ready, 40, "Callbridge is ready again")
        assert any(alice.user_id in entry for entry in entries(bed.callbridge, room))
        wait_until(lambda: not any(
            bob.user_id in entry and bob.device_id in entry and "focus" in entry
            for entry in entries(bed.callbridge, room)), 30, "bob's leaving is known")
        assert alice.state(room, CALL_MEMBER, alice.call_state_key)["device_id"] == alice.device_id


class TestTokens:
    def test_a_member_gets_a_token_for_the_right_room_and_name(self, bed: MatrixBed) -> None:
        from livekit import api
        alice = bed.user("alice")
        room = bed.room(alice)
        answer = bed.call_token(alice, room)
        assert answer.status == 200, answer.text
        assert answer.json["url"] == bed.callbridge.websocket_url
        found = api.TokenVerifier(bed.callbridge.api_key, bed.callbridge.api_secret).verify(answer.json["jwt"])
        assert found.identity == f"{alice.user_id}:{alice.device_id}"
        assert found.video.room == room_hash(room, "m.call#ROOM")
        assert found.video.room_join and found.video.can_publish and found.video.can_subscribe
        assert not found.video.room_create and not found.video.room_admin and not found.video.hidden
        listed = room_service(bed.callbridge, lambda client: client.room.list_rooms(
            api.ListRoomsRequest(names=[found.video.room])))
        assert len(listed.rooms) == 1, "the room exists before the token is handed out"
        assert (listed.rooms[0].empty_timeout, listed.rooms[0].departure_timeout) == (300, 20)

    def test_get_token_of_the_next_generation(self, bed: MatrixBed) -> None:
        from livekit import api
        alice = bed.user("alice")
        room = bed.room(alice)
        body = {"room_id": room, "slot_id": "m.call#ROOM", "openid_token": alice.openid_token(),
                "member": {"id": "member-1", "claimed_user_id": alice.user_id, "claimed_device_id": alice.device_id}}
        answer = http("POST", bed.callbridge.url + "/get_token", body)
        assert answer.status == 200, answer.text
        found = api.TokenVerifier(bed.callbridge.api_key, bed.callbridge.api_secret).verify(answer.json["jwt"])
        assert found.identity == room_hash(alice.user_id, alice.device_id, "member-1")
        assert found.video.room == room_hash(room, "m.call#ROOM")
        body["member"]["claimed_user_id"] = f"@mallory:{bed.callbridge.server_name}"
        answer = http("POST", bed.callbridge.url + "/get_token", body)
        assert (answer.status, answer.errcode) == (401, "M_UNAUTHORIZED")

    def test_a_forged_openid_token(self, bed: MatrixBed) -> None:
        alice = bed.user("alice")
        body = alice.call_token_request(bed.room(alice))
        body["openid_token"]["access_token"] = secrets.token_urlsafe(24)
        answer = bed.callbridge.sfu_get(body)
        assert (answer.status, answer.errcode) == (401, "M_UNAUTHORIZED"), answer.text

    def test_a_subject_of_another_server(self, bed: MatrixBed) -> None:
        alice = bed.user("alice")
        body = alice.call_token_request(bed.room(alice))
        # The token is good at our homeserver, but the request says that another server vouches for it.
        body["openid_token"]["matrix_server_name"] = f"127.0.0.1:{bed.synapse.port}"
        answer = bed.callbridge.sfu_get(body)
        assert (answer.status, answer.errcode) == (401, "M_UNAUTHORIZED"), answer.text

    def test_someone_who_is_not_in_the_room(self, bed: MatrixBed) -> None:
        alice, mallory = bed.user("alice"), bed.user("mallory")
        room = bed.room(alice)
        answer = bed.call_token(mallory, room)
        assert (answer.status, answer.errcode) == (403, "M_FORBIDDEN"), answer.text
        bob = bed.user("bob")
        alice.invite(room, bob.user_id)
        assert bed.call_token(bob, room).status == 403, "an invitation is not membership"
        bob.join(room)
        assert bed.call_token(bob, room).status == 200
        bob.leave(room)
        assert bed.call_token(bob, room).status == 403

    @pytest.mark.parametrize("room", ["!unknown:callbridge.test", "not a room", "#alias:callbridge.test"])
    def test_an_unknown_room(self, bed: MatrixBed, room: str) -> None:
        answer = bed.call_token(bed.user("alice"), room)
        assert answer.status in (400, 403), answer.text
        assert answer.errcode in ("M_BAD_JSON", "M_FORBIDDEN", "M_INVALID_PARAM"), answer.text

    @pytest.mark.parametrize("body,errcode", [
        (b"", "M_NOT_JSON"), (b"{", "M_NOT_JSON"), (b"[]", "M_NOT_JSON"), (b'{"room": 7}', "M_NOT_JSON"),
        (b"{}", "M_BAD_JSON"), (b'{"room": "!r:x", "device_id": "D"}', "M_BAD_JSON"),
    ])
    def test_broken_requests(self, bed: MatrixBed, body: bytes, errcode: str) -> None:
        answer = bed.callbridge.sfu_get(body)
        assert (answer.status, answer.errcode) == (400, errcode), answer.text
        assert answer.headers["access-control-allow-origin"] == "*"

    def test_delay_fields_come_together(self, bed: MatrixBed) -> None:
        alice = bed.user("alice")
        body = {**alice.call_token_request(bed.room(alice)), "delay_id": "only this"}
        answer = bed.callbridge.sfu_get(body)
        assert (answer.status, answer.errcode) == (400, "M_BAD_JSON"), answer.text

    @pytest.mark.parametrize("path", ["/sfu/get", "/get_token"])
    def test_cross_origin_requests(self, bed: MatrixBed, path: str) -> None:
        url = bed.callbridge.url + path
        preflight = http("OPTIONS", url, headers={
            "Origin": "https://app.example", "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type"})
        assert preflight.status in (200, 204)
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert "POST" in preflight.headers["access-control-allow-methods"]
        wrong = http("GET", url, headers={"Origin": "https://app.example"})
        assert wrong.status == 405 and wrong.headers["access-control-allow-origin"] == "*"

    def test_a_token_takes_less_than_a_second(self, bed: MatrixBed) -> None:
        alice = bed.user("alice")
        body = alice.call_token_request(bed.room(alice))
        began = time.monotonic()
        assert bed.callbridge.sfu_get(body).status == 200
        assert time.monotonic() - began < 1


def test_a_homeserver_without_full_access_makes_no_rooms(tmp_path) -> None:
    matrix = MatrixBed(tmp_path, matrix_settings={"full_access_homeservers": ["elsewhere.test"]})
    matrix.start()
    try:
        alice = matrix.user("alice")
        token = matrix.call_token(alice, matrix.room(alice))
        assert token.status == 200, token.text
        joined = http("GET", matrix.callbridge.url + "/rtc/validate", token=token.json["jwt"])
        assert joined.status == 404 and "requested room does not exist" in joined.text
        body = {**alice.call_token_request(matrix.room(alice)), "delay_id": "d", "delay_timeout": 8000}
        answer = matrix.callbridge.sfu_get(body)
        assert (answer.status, answer.errcode) == (400, "M_BAD_JSON"), answer.text
    finally:
        matrix.stop()


@pytest.mark.limit(180)
def test_a_dead_homeserver_stops_new_tokens_but_no_call(tmp_path, new_participant) -> None:
    matrix = MatrixBed(tmp_path)
    matrix.start()
    try:
        users = [matrix.user("alice"), matrix.user("bob")]
        room = matrix.room(*users)
        participants = []
        for user in users:
            token = matrix.call_token(user, room).json
            participant = new_participant(user.user_id.split("-")[0][1:])
            participant.connect(token["url"], token["jwt"])
            participant.do("publish_video", width=320, height=180, rate=20, kilobits=300)
            participants.append(participant)
        for participant, other in zip(participants, reversed(users)):
            participant.wait_for("first_frame", publisher=other.call_identity)
        late = users[0].call_token_request(room)
        matrix.synapse.process.kill()
        answer = matrix.callbridge.sfu_get(late)
        assert answer.status in (500, 502, 503, 504) and answer.errcode == "M_UNKNOWN", answer.text
        assert "homeserver" in answer.json["error"].lower(), answer.text
        assert answer.headers["access-control-allow-origin"] == "*"
        for participant, other in zip(participants, reversed(users)):
            before = participant.counts(other.call_identity, "video")["good"]
            participant.wait_for("counts", lambda event: event["received"][f"{other.call_identity}/video"]["good"]
                                 >= before + 100, seconds=20)
            assert not participant.saw("reconnecting")
        assert matrix.callbridge.process.is_running
        matrix.synapse.start()
        wait_until(lambda: matrix.callbridge.sfu_get(users[0].call_token_request(room)).status == 200, 60,
                   "tokens again once the homeserver is back")
    finally:
        matrix.stop()


def test_discovery_names_our_focus(bed: MatrixBed) -> None:
    alice = bed.user("alice")
    transports = alice.call("GET", "/_matrix/client/unstable/org.matrix.msc4143/rtc/transports")["rtc_transports"]
    printed = bed.callbridge.command("discovery", "--config", str(bed.callbridge.configuration_file))
    for transport in transports:
        assert transport["livekit_service_url"] == bed.callbridge.url
        assert transport["livekit_service_url"] in printed
    assert "org.matrix.msc4143.rtc_foci" in printed and "max_event_delay_duration" in printed
