# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Callbridge with a homeserver that does as it is told, and the events that such a one pushes."""

import json
import re
import time
import uuid
from pathlib import Path

from .callbridge import Callbridge
from .matrix import CALL_MEMBER, Answer, http
from .places import free_tcp_port
from .processes import wait_until
from .stub_homeserver import StubHomeserver, StubUser


class StubBed:
    """The stub and a Callbridge that serves it."""

    def __init__(self, directory: Path, stub: StubHomeserver, **settings: object):
        self.stub = stub
        self.metrics = free_tcp_port()
        self.callbridge = Callbridge(
            directory, stub.url, stub.server_name, settings={"prometheus": {"port": self.metrics}},
            matrix_settings=settings)

    def start(self) -> None:
        self.callbridge.start()
        wait_until(self.callbridge.is_ready, 30, "Callbridge knows the stub")

    def post(self, path: str, body: object) -> Answer:
        return http("POST", self.callbridge.url + path, body)

    def orders(self) -> set[str]:
        """The delayed leaves that are held."""
        return {delay_id for (delay_id,) in self.callbridge.rows("SELECT delay_id FROM delayed_leaves")}

    def refused_events(self, reason: str) -> int:
        return self.count("callbridge_event_refused_total", reason)

    def count(self, counter: str, reason: str) -> int:
        """Of the metrics; 0 while it is not there."""
        page = http("GET", f"http://127.0.0.1:{self.metrics}/metrics").text
        found = re.search(rf'{counter}{{reason="{reason}"}} (\d+)', page)
        return int(found[1]) if found else 0

    def calls(self, room: str) -> list[dict]:
        listing = json.loads(self.callbridge.command(
            "calls", "--config", str(self.callbridge.configuration_file), "--json"))
        return [call for call in listing["calls"] if call["room_id"] == room]

    def hand_over(self, user: StubUser, room: str, delay: int, path: str = "/sfu/get") -> tuple[str, dict]:
        """A delayed leave of the user that is ours to keep; its id and the answer."""
        delay_id = self.stub.delay(room)
        answer = self.post(path, user.body(path, room, delay_id=delay_id, delay_timeout=delay))
        assert answer.status == 200, answer.text
        return delay_id, answer.json


def session(user: StubUser, room: str, **changes: object) -> dict:
    """A membership as a state event."""
    content = {"application": "m.call", "call_id": "", "scope": "m.room", "device_id": user.device_id,
               "expires": 14_400_000, "created_ts": int(time.time() * 1000),
               "focus_active": {"type": "livekit", "focus_selection": "multi_sfu"},
               "foci_preferred": [{"type": "livekit", "livekit_service_url": "https://call.example.org"}]}
    content = {name: value for name, value in {**content, **changes}.items() if value is not None}
    key = f"_{user.user_id}_{user.device_id}_m.call"
    return user.homeserver.state_event(room, CALL_MEMBER, key, content, user.user_id)


def sticky(user: StubUser, room: str, event_id: str | None = None, duration: int = 3_600_000,
           **changes: object) -> dict:
    """A membership as a sticky event of the draft."""
    content = {"slot_id": "m.call#ROOM", "application": {"type": "m.call"}, "versions": [],
               "member": {"id": "member-1", "user_id": user.user_id, "device_id": user.device_id},
               "rtc_transports": [], "msc4354_sticky_key": "member-1", **changes}
    return {"type": "org.matrix.msc4143.rtc.member", "room_id": room, "sender": user.user_id, "content": content,
            "event_id": event_id or f"${uuid.uuid4().hex}", "origin_server_ts": int(time.time() * 1000),
            "msc4354_sticky": {"duration_ms": duration}}
