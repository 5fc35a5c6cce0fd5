# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""F13 with a stopwatch: within a second of the event's arrival nothing of a removed user is left in the call."""

import base64
import os
import re
import time
from collections.abc import Iterator

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as signal_protocol

from TestBed.bed import MatrixBed
from TestBed.matrix import http, part
from TestBed.places import free_tcp_port
from TestBed.processes import wait_until
from TestBed.server_api import ask_for_socket
from TestBed.signalling import Signalling
from TestBed.wire import Wire, ask, ice_check

PROMISED = 1.0

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="listening to loopback needs root")


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MatrixBed]:
    matrix = MatrixBed(tmp_path_factory.mktemp("stopwatch"))
    matrix.metrics_port = free_tcp_port()
    matrix.callbridge.settings = {"prometheus": {"port": matrix.metrics_port}}
    matrix.callbridge.write_configuration()
    try:
        matrix.start()
        yield matrix
    finally:
        matrix.stop()


def unknown_checks(bed: MatrixBed) -> int:
    page = http("GET", f"http://127.0.0.1:{bed.metrics_port}/metrics").text
    return int(re.search(r'callbridge_media_dropped_total{reason="stunUnknownUsername"} (\d+)', page)[1])


def resumption(sid: str) -> list[str]:
    """The paths on which a client of either generation asks to resume."""
    request = signal_protocol.JoinRequest(reconnect=True, participant_sid=sid)
    request.client_info.protocol = 16
    wrapped = signal_protocol.WrappedJoinRequest(join_request=request.SerializeToString()).SerializeToString()
    return [f"/rtc?protocol=16&sdk=js&reconnect=1&sid={sid}",
            "/rtc/v1?join_request=" + base64.urlsafe_b64encode(wrapped).decode()]


@pytest.mark.limit(180)
@pytest.mark.parametrize("how", ["kick", "ban"])
def test_f13_media_socket_token_resume_and_ice_check_within_a_second(bed: MatrixBed, new_participant, how: str) -> None:
    alice, bob = bed.user("alice"), bed.user("bob")
    room, server = bed.room(alice, bob), bed.callbridge
    bot = f"@callbot:{server.server_name}"
    alice.invite(room, bot)
    wait_until(lambda: bot in alice.members(room), 20, "the bot accepts the invitation")
    mark = b'"membership":"leave"' if how == "kick" else b'"membership":"ban"'
    with Wire(server.port, server.rtc_port, mark) as wire:
        listener, speaker = new_participant("alice"), new_participant("bob")
        token = bed.call_token(alice, room).json
        listener.connect(token["url"], token["jwt"])
        token = bed.call_token(bob, room).json
        sid = speaker.connect(token["url"], token["jwt"])["sid"]
        speaker.do("publish_audio")
        listener.wait_for("first_tone", publisher=bob.call_identity)
        second = server.sfu_get({**bob.call_token_request(room), "device_id": "LAPTOP"}).json
        with Signalling(server, second["jwt"]) as laptop:
            fragment, password = laptop.ice_credentials()
            check = ice_check(f"{fragment}:test", password)
            answer = ask(server.rtc_port, check)
            assert answer and answer[:2] == b"\1\1", "the credentials are good before"
            heard = len(wire.media)
            wait_until(lambda: len(wire.media) > heard + 50, 20, "bob's sound flows")
            alice.call("POST", f"/_matrix/client/v3/rooms/{part(room)}/{how}", {"user_id": bob.user_id})
            answered_at = time.time()
            wait_until(lambda: wire.marked_at, 20, "the event reaches us")
            wait_until(lambda: laptop.closed_at, 20, "the socket closes")
            speaker.wait_for("disconnected", reason="PARTICIPANT_REMOVED")
            time.sleep(2)
            assert laptop.find("leave").reason == models.DisconnectReason.PARTICIPANT_REMOVED
            arrived, last = wire.marked_at, wire.media[-1][0]
            closed = laptop.closed_at - time.monotonic() + time.time()
            sid_of_laptop = laptop.sid
        print(f"after the event's arrival: last packet {(last - arrived) * 1000:.1f} ms, socket closed "
              f"{(closed - arrived) * 1000:.1f} ms; after the homeserver's answer to the {how}: last packet "
              f"{(last - answered_at) * 1000:.1f} ms")
        assert last - arrived < PROMISED
        assert closed - arrived < PROMISED
        for old, session in ((token, sid), (second, sid_of_laptop)):
            assert http("GET", server.url + "/rtc/validate", token=old["jwt"]).status == 401
            assert ask_for_socket(server, "/rtc?protocol=16&sdk=js", old["jwt"]).status == 401
            for path in resumption(session):
                assert ask_for_socket(server, path, old["jwt"]).status == 401, path
        before = unknown_checks(bed)
        assert ask(server.rtc_port, check) is None
        # The speaker's own last checks, as they were.
        replayed = [wire.checks[port] for port in wire.publishers if port in wire.checks]
        assert replayed and all(ask(server.rtc_port, datagram) is None for datagram in replayed)
        wait_until(lambda: unknown_checks(bed) >= before + 1 + len(replayed), 10, "they are counted")
        assert wire.media[-1][0] == last, "nothing was sent any more"
