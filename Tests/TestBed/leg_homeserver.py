# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""A homeserver that does as it is told and lets the bot into calls: it keeps what the bot says and announces."""

import re
import threading
import time
import urllib.parse
import uuid
from dataclasses import dataclass

from .callbridge import Callbridge
from .matrix import CALL_MEMBER, DELAYED_EVENTS
from .processes import wait_until
from .stub_bed import session
from .stub_homeserver import Reply, StubHomeserver, StubUser

PUT_STATE = re.compile(r"/_matrix/client/v3/rooms/([^/]+)/state/([^/]+)/(.*)")
PUT_MESSAGE = re.compile(r"/_matrix/client/v3/rooms/([^/]+)/send/m\.room\.message/(.*)")


@dataclass
class LegRequest:
    """One request about the bot's membership in a call, by the clock of `time.monotonic`."""

    at: float
    # schedule, announce, leave, restart, send or cancel.
    kind: str
    room: str | None = None
    key: str | None = None
    content: dict | None = None
    delay: int | None = None
    delay_id: str | None = None


class LegHomeserver(StubHomeserver):
    """Takes the bot's memberships and messages; what it announces comes back as an event, as from a real one."""

    def __init__(self, server_name: str = "stub.test"):
        super().__init__(server_name)
        self.callbridge: Callbridge | None = None
        self.bot = f"@callbot:{server_name}"
        self.log: list[LegRequest] = []
        self.said: list[tuple[str, str]] = []
        # The next answers to a kind of request; after them it succeeds.
        self.next_replies: dict[str, list[Reply]] = {}
        self.rooms_of_delays: dict[str, tuple[str, str]] = {}

    # What there is

    def bot_room(self, *users: StubUser, version: str = "11", encrypted: bool = False) -> str:
        """A room that the bot has just come to."""
        room = self.room(*users)
        self.members[room].add(self.bot)
        self.states[room] = [
            self.state_event(room, "m.room.create", "", {"room_version": version}),
            self.state_event(room, "m.room.power_levels", "", {"events": {CALL_MEMBER: 0}}),
            *(self.state_event(room, "m.room.member", user, {"membership": "join"}, user)
              for user in self.members[room])]
        if encrypted:
            self.states[room].append(self.state_event(room, "m.room.encryption", "", {"algorithm": "m.megolm.v1"}))
        assert self.callbridge
        self.push(self.callbridge, self.state_event(room, "m.room.member", self.bot, {"membership": "join"}, self.bot))
        return room

    def of(self, room: str, *kinds: str) -> list[LegRequest]:
        return [request for request in list(self.log) if request.room == room and (not kinds or request.kind in kinds)]

    def kinds(self, room: str) -> list[str]:
        return [request.kind for request in self.of(room)]

    def command(self, user: StubUser, room: str, text: str) -> None:
        """Something that a user writes to the bot."""
        assert self.callbridge
        self.push(self.callbridge, {
            "type": "m.room.message", "room_id": room, "sender": user.user_id, "event_id": f"${uuid.uuid4().hex}",
            "origin_server_ts": int(time.time() * 1000), "content": {"msgtype": "m.text", "body": f"!call {text}"}})

    def ask(self, user: StubUser, room: str, text: str, *words: str) -> str:
        """A command, and what the bot says with one of these words in it."""
        before = len(self.said)
        self.command(user, room, text)

        def answer() -> str | None:
            return next((body for place, body in self.said[before:]
                         if place == room and any(word in body for word in words)), None)
        return wait_until(answer, 30, f"the bot answers {text!r} with one of {words}; it said {self.said[before:]}")

    def in_call(self, user: StubUser, room: str) -> None:
        assert self.callbridge
        self.push(self.callbridge, session(user, room))

    def overwrite(self, room: str, content: dict, sender: str) -> None:
        """Somebody else's event in the place of the bot's membership."""
        assert self.callbridge
        key = self.of(room, "announce")[-1].key
        self.push(self.callbridge, self.state_event(room, CALL_MEMBER, key, content, sender))

    # What Callbridge hears

    def put(self, raw_path: str, query: dict[str, str], content: dict) -> Reply:
        path = urllib.parse.unquote(raw_path)
        if match := PUT_MESSAGE.fullmatch(path):
            said = content.get("m.new_content", content)["body"]
            self.said.append((match[1], said))
            return Reply(200, {"event_id": f"${uuid.uuid4().hex}"})
        match = PUT_STATE.fullmatch(path)
        if not match or match[2] != CALL_MEMBER:
            return super().put(raw_path, query, content)
        room, key = match[1], match[3]
        delay = query.get("org.matrix.msc4140.delay")
        kind = "schedule" if delay else "announce" if content else "leave"
        reply = self.note(LegRequest(time.monotonic(), kind, room, key, content, delay and int(delay)))
        if reply:
            return reply
        if delay:
            return Reply(200, {"delay_id": self.hold_leave(room, key)})
        return Reply(200, {"event_id": self.happen(room, key, content)})

    def reply(self, method: str, raw_path: str, query: dict[str, str]) -> Reply:
        if method == "GET" and raw_path == DELAYED_EVENTS:
            waiting = [(name, *self.rooms_of_delays[name]) for name in self.delayed if name in self.rooms_of_delays]
            return Reply(200, {"delayed_events": [
                {"delay_id": name, "room_id": room, "type": CALL_MEMBER, "state_key": key}
                for name, room, key in waiting]})
        return super().reply(method, raw_path, query)

    def hold_leave(self, room: str, key: str) -> str:
        """A delayed leave of the bot; its id, which nobody is told."""
        delay_id = self.delay(room)
        self.rooms_of_delays[delay_id] = (room, key)
        return delay_id

    def manage(self, delay_id: str, action: str | None) -> Reply:
        room, key = self.rooms_of_delays.get(delay_id, (None, None))
        if action and room:
            reply = self.note(LegRequest(time.monotonic(), action, room, key, delay_id=delay_id))
            if reply:
                return reply
        answer = super().manage(delay_id, action)
        if action == "send" and room and answer.status == 200:
            self.happen(room, key, {})
        return answer

    def note(self, request: LegRequest) -> Reply | None:
        self.log.append(request)
        waiting = self.next_replies.get(request.kind)
        return waiting.pop(0) if waiting else None

    def happen(self, room: str, key: str, content: dict) -> str:
        """An event of the bot; its id. It is pushed beside the answer, as homeservers do."""
        event = self.state_event(room, CALL_MEMBER, key, content, self.bot)
        assert self.callbridge
        threading.Thread(target=self.push, args=(self.callbridge, event), daemon=True).start()
        return event["event_id"]
