# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Matrix users on a test homeserver: accounts, encrypted rooms, call memberships, OpenID tokens."""

import hashlib
import hmac
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass

CALL_MEMBER = "org.matrix.msc3401.call.member"
DELAYED_EVENTS = "/_matrix/client/unstable/org.matrix.msc4140/delayed_events"


@dataclass
class Answer:
    """What a server said: status, headers with lower-case names, and the body, decoded when it is JSON."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> dict:
        return json.loads(self.text) if self.text else {}

    @property
    def errcode(self) -> str | None:
        try:
            return self.json.get("errcode")
        except ValueError:
            return None


def http(method: str, url: str, body: object = None, token: str | None = None, headers: dict[str, str] | None = None,
         seconds: float = 30) -> Answer:
    """One request. A body that is not bytes is sent as JSON; error statuses are answers, too."""
    fields = dict(headers or {})
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    if data is not None:
        fields.setdefault("Content-Type", "application/json")
    if token is not None:
        fields["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data=data, method=method, headers=fields)
    try:
        with urllib.request.urlopen(request, timeout=seconds) as response:
            return Answer(response.status, {k.lower(): v for k, v in response.headers.items()},
                          response.read().decode(errors="replace"))
    except urllib.error.HTTPError as error:
        return Answer(error.code, {k.lower(): v for k, v in error.headers.items()},
                      error.read().decode(errors="replace"))


class MatrixError(Exception):
    """A homeserver refused a request."""

    def __init__(self, method: str, path: str, answer: Answer):
        super().__init__(f"{method} {path}: {answer.status} {answer.text}")
        self.answer = answer


def part(text: str) -> str:
    return urllib.parse.quote(text, safe="")


class User:
    """An account with one device."""

    def __init__(self, homeserver_url: str, name: str, shared_secret: str):
        self.homeserver_url = homeserver_url
        path = "/_synapse/admin/v1/register"
        self.token: str | None = None
        nonce = self.call("GET", path)["nonce"]
        self.password = password = uuid.uuid4().hex
        digest = hmac.new(shared_secret.encode(), digestmod=hashlib.sha1)
        digest.update(b"\0".join([nonce.encode(), name.encode(), password.encode(), b"notadmin"]))
        account = self.call("POST", path, {
            "nonce": nonce, "username": name, "password": password, "admin": False, "mac": digest.hexdigest()})
        self.token, self.user_id, self.device_id = account["access_token"], account["user_id"], account["device_id"]

    def call(self, method: str, path: str, body: object = None, query: dict[str, object] | None = None) -> dict:
        url = self.homeserver_url + path + ("?" + urllib.parse.urlencode(query) if query else "")
        answer = http(method, url, body, self.token)
        if answer.status >= 300:
            raise MatrixError(method, path, answer)
        return answer.json

    # Rooms

    def create_encrypted_room(self, invited: list[str]) -> str:
        """A private room with Megolm, in which every member may take part in calls."""
        return self.call("POST", "/_matrix/client/v3/createRoom", {
            "preset": "private_chat",
            "invite": invited,
            "initial_state": [{
                "type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}],
            "power_level_content_override": {"events": {CALL_MEMBER: 0}},
        })["room_id"]

    def join(self, room: str) -> None:
        self.call("POST", f"/_matrix/client/v3/join/{part(room)}", {})

    def leave(self, room: str) -> None:
        self.call("POST", f"/_matrix/client/v3/rooms/{part(room)}/leave", {})

    def invite(self, room: str, user_id: str) -> None:
        self.call("POST", f"/_matrix/client/v3/rooms/{part(room)}/invite", {"user_id": user_id})

    def members(self, room: str) -> set[str]:
        return set(self.call("GET", f"/_matrix/client/v3/rooms/{part(room)}/joined_members")["joined"])

    # Calls

    @property
    def call_identity(self) -> str:
        """The name in the focus, for memberships that are state events."""
        return f"{self.user_id}:{self.device_id}"

    @property
    def call_state_key(self) -> str:
        return f"_{self.user_id}_{self.device_id}_m.call"

    def join_call(self, room: str, livekit_service_url: str) -> str:
        """Says with a state event that this device is in the call of the room; returns the event's id."""
        return self.set_state(room, CALL_MEMBER, self.call_state_key, {
            "application": "m.call", "call_id": "", "scope": "m.room", "device_id": self.device_id,
            "membershipID": self.call_identity, "expires": 4 * 3600 * 1000, "created_ts": int(time.time() * 1000),
            "m.call.intent": "video", "focus_active": {"type": "livekit", "focus_selection": "multi_sfu"},
            "foci_preferred": [
                {"type": "livekit", "livekit_service_url": livekit_service_url, "livekit_alias": room}],
        })

    def leave_call(self, room: str) -> str:
        return self.set_state(room, CALL_MEMBER, self.call_state_key, {})

    def leave_call_later(self, room: str, milliseconds: int) -> str:
        """A delayed event (MSC4140) that takes this device out of the call; returns the delay's id."""
        path = f"/_matrix/client/v3/rooms/{part(room)}/state/{part(CALL_MEMBER)}/{part(self.call_state_key)}"
        return self.call("PUT", path, {}, {"org.matrix.msc4140.delay": milliseconds})["delay_id"]

    def restart_delayed(self, delay_id: str) -> None:
        self.call("POST", f"{DELAYED_EVENTS}/{part(delay_id)}", {"action": "restart"})

    def send_delayed(self, delay_id: str) -> None:
        self.call("POST", f"{DELAYED_EVENTS}/{part(delay_id)}", {"action": "send"})

    def set_state(self, room: str, kind: str, key: str, content: dict) -> str:
        return self.call(
            "PUT", f"/_matrix/client/v3/rooms/{part(room)}/state/{part(kind)}/{part(key)}", content)["event_id"]

    def state(self, room: str, kind: str, key: str = "") -> dict:
        return self.call("GET", f"/_matrix/client/v3/rooms/{part(room)}/state/{part(kind)}/{part(key)}")

    def openid_token(self) -> dict:
        return self.call("POST", f"/_matrix/client/v3/user/{part(self.user_id)}/openid/request_token", {})

    def call_token_request(self, room: str) -> dict:
        """The body of /sfu/get."""
        return {"room": room, "openid_token": self.openid_token(), "device_id": self.device_id}
