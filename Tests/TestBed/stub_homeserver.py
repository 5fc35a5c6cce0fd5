# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""A homeserver that does as it is told: for answers that a real one gives rarely, or never at the wanted moment."""

import json
import re
import ssl
import subprocess
import threading
import time
import urllib.parse
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .callbridge import Callbridge
from .matrix import CALL_MEMBER, Answer, http

DELAYED = re.compile(r"/_matrix/client/unstable/org\.matrix\.msc4140/delayed_events/([^/]+)(?:/(\w+))?")
IS_JOINED = re.compile(r"/_matrix/client/unstable/io\.element\.msc4502/rooms/([^/]+)/is_joined")
JOINED_MEMBERS = re.compile(r"/_matrix/client/v3/rooms/([^/]+)/joined_members")
STATE = re.compile(r"/_matrix/client/v3/rooms/([^/]+)/state(?:/([^/]+)/(.*))?")
SEND = re.compile(r"/_matrix/client/v3/rooms/([^/]+)/send/([^/]+)/([^/]+)")
ALIAS = re.compile(r"/_matrix/client/v3/directory/room/(.+)")


@dataclass
class Reply:
    """What is answered instead of the usual."""

    status: int
    body: dict
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class DelayedRequest:
    """One restart or send of a delayed event, by the clock of `time.monotonic`."""

    at: float
    delay_id: str
    action: str


class StubHomeserver:
    """The client API that Callbridge uses and the federation API's userinfo, over one port.

    With a directory for a certificate it speaks TLS, and nobody vouches for the certificate.
    """

    def __init__(self, server_name: str = "stub.test", certificate: Path | None = None):
        self.server_name = server_name
        self.tokens: dict[str, Reply] = {}
        self.members: dict[str, set[str]] = {}
        self.levels: dict[str, dict] = {}
        self.aliases: dict[str, str] = {}
        # Rooms that the bot is in, with their whole state.
        self.states: dict[str, list[dict]] = {}
        self.delayed: dict[str, str] = {}
        self.replies: dict[tuple[str, str], list[Reply]] = {}
        self.requests: list[DelayedRequest] = []
        # Events sent into rooms: room, type, content.
        self.sent: list[tuple[str, str, dict]] = []
        # Every request about rooms is answered with this instead.
        self.trouble: Reply | None = None
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                target = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(target.query))
                if self.command == "PUT":
                    reply = stub.put(target.path, query, json.loads(body))
                else:
                    reply = stub.reply(self.command, target.path, query)
                content = json.dumps(reply.body).encode()
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = handle_any

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if certificate:
            self.server.socket = self.tls(certificate).wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.server.server_address[1]}"

    @staticmethod
    def tls(directory: Path) -> ssl.SSLContext:
        key, certificate = directory / "stub.key", directory / "stub.crt"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "30", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context

    def __enter__(self) -> "StubHomeserver":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    # What is there

    def user(self, name: str, device: str = "DEVICE") -> "StubUser":
        return StubUser(self, f"@{name}-{uuid.uuid4().hex[:6]}:{self.server_name}", device)

    def room(self, *users: "StubUser") -> str:
        room = f"!{uuid.uuid4().hex[:10]}:{self.server_name}"
        self.members[room] = {user.user_id for user in users}
        return room

    def token(self, user_id: str) -> dict:
        """An OpenID token for whatever user, also for one that is not ours."""
        name = uuid.uuid4().hex
        self.tokens[name] = Reply(200, {"sub": user_id})
        return {"access_token": name, "token_type": "Bearer", "matrix_server_name": self.server_name,
                "expires_in": 3600}

    def delay(self, room: str, kind: str = CALL_MEMBER) -> str:
        """A delayed event that its owner has; returns its id."""
        name = uuid.uuid4().hex
        self.delayed[name] = json.dumps({"room_id": room, "type": kind})
        return name

    def answer(self, delay_id: str, action: str, *replies: Reply) -> None:
        """The next answers to an action on a delayed event; after them it succeeds."""
        self.replies[delay_id, action] = list(replies)

    def actions(self, delay_id: str) -> list[str]:
        return [request.action for request in self.requests if request.delay_id == delay_id]

    def times(self, delay_id: str, action: str) -> list[float]:
        return [request.at for request in self.requests if (request.delay_id, request.action) == (delay_id, action)]

    # What Callbridge hears

    def push(self, callbridge: Callbridge, *events: object, transaction: str | None = None) -> Answer:
        """A transaction with these events."""
        token = re.search(r"^hs_token:\s*\"?([^\"\s]+)", callbridge.registration.read_text(), re.MULTILINE)[1]
        name = transaction or uuid.uuid4().hex
        return http("PUT", f"{callbridge.url}/_matrix/app/v1/transactions/{name}", {"events": list(events)}, token)

    def put(self, raw_path: str, query: dict[str, str], content: dict) -> Reply:
        """Events that Callbridge sends into rooms are kept."""
        if match := SEND.fullmatch(urllib.parse.unquote(raw_path)):
            self.sent.append((match[1], match[2], content))
            return Reply(200, {"event_id": f"${uuid.uuid4().hex}"})
        return self.reply("PUT", raw_path, query)

    def reply(self, method: str, raw_path: str, query: dict[str, str]) -> Reply:
        path = urllib.parse.unquote(raw_path)
        if path == "/_matrix/federation/v1/openid/userinfo":
            return self.tokens.get(query.get("access_token", ""), unknown(401, "M_UNKNOWN_TOKEN"))
        if match := DELAYED.fullmatch(path):
            return self.manage(match[1], match[2])
        if self.trouble and "/rooms/" in path:
            return self.trouble
        if match := IS_JOINED.fullmatch(path):
            return Reply(200, {"joined": query.get("mxid") in self.members.get(match[1], set())})
        if match := JOINED_MEMBERS.fullmatch(path):
            if query.get("user_id") not in self.members.get(match[1], set()):
                return unknown(403, "M_FORBIDDEN")
            return Reply(200, {"joined": {user: {} for user in self.members[match[1]]}})
        if match := ALIAS.fullmatch(path):
            room = self.aliases.get(match[1])
            return Reply(200, {"room_id": room, "servers": []}) if room else unknown(404, "M_NOT_FOUND")
        if match := STATE.fullmatch(path):
            return self.state(match[1], match[2])
        bot = f"@callbot:{self.server_name}"
        usual = {
            "/_matrix/client/v3/account/whoami": {"user_id": bot},
            "/_matrix/client/v3/register": {"user_id": bot},
            "/_matrix/client/v1/appservice/callbridge/ping": {"duration_ms": 1},
            "/_matrix/client/v3/joined_rooms": {"joined_rooms": list(self.states)},
        }
        return Reply(200, usual[path]) if path in usual else unknown(404, "M_UNRECOGNIZED")

    def state(self, room: str, kind: str | None) -> Reply:
        if kind is None:
            return Reply(200, self.states[room]) if room in self.states else unknown(403, "M_FORBIDDEN")
        if kind == "m.room.power_levels" and room in self.members:
            levels = self.levels.get(room, {"events": {CALL_MEMBER: 0}})
            return Reply(200, self.state_event(room, kind, "", levels))
        if kind == "m.room.create" and room in self.members:
            return Reply(200, self.state_event(room, kind, "", {"room_version": "11"}))
        return unknown(404, "M_NOT_FOUND") if room in self.members else unknown(403, "M_FORBIDDEN")

    def state_event(self, room: str, kind: str, key: str, content: dict, sender: str | None = None) -> dict:
        return {"type": kind, "state_key": key, "content": content, "room_id": room,
                "sender": sender or f"@admin:{self.server_name}", "event_id": f"${uuid.uuid4().hex}",
                "origin_server_ts": int(time.time() * 1000)}

    def manage(self, delay_id: str, action: str | None) -> Reply:
        if action is None:
            known = self.delayed.get(delay_id)
            return Reply(200, json.loads(known)) if known else unknown(404, "M_NOT_FOUND")
        self.requests.append(DelayedRequest(time.monotonic(), delay_id, action))
        waiting = self.replies.get((delay_id, action))
        if waiting:
            return waiting.pop(0)
        if delay_id not in self.delayed:
            return unknown(404, "M_NOT_FOUND")
        if action in ("send", "cancel"):
            del self.delayed[delay_id]
        return Reply(200, {})


@dataclass
class StubUser:
    """A user of the stub with one device."""

    homeserver: StubHomeserver
    user_id: str
    device_id: str

    @property
    def call_identity(self) -> str:
        return f"{self.user_id}:{self.device_id}"

    def compatibility_body(self, room: str, **more: object) -> dict:
        """The body of /sfu/get."""
        return {"room": room, "openid_token": self.homeserver.token(self.user_id), "device_id": self.device_id, **more}

    def slot_body(self, room: str, member: str = "member-1", **more: object) -> dict:
        """The body of /get_token and /delegate_delayed_leave."""
        return {"room_id": room, "slot_id": "m.call#ROOM", "openid_token": self.homeserver.token(self.user_id),
                "member": {"id": member, "claimed_user_id": self.user_id, "claimed_device_id": self.device_id}, **more}

    def body(self, path: str, room: str, **more: object) -> dict:
        """The body that an endpoint of the token service wants."""
        return self.compatibility_body(room, **more) if path == "/sfu/get" else self.slot_body(room, **more)


def unknown(status: int, code: str) -> Reply:
    return Reply(status, {"errcode": code, "error": "as the test wants it"})
