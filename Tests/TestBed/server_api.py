# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Tokens made with livekit-api or, when they must be wrong, by hand; and the server API of livekit-api."""

import asyncio
import base64
import datetime
import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Callable, Coroutine

from livekit import api

from .callbridge import Callbridge
from .matrix import Answer


def livekit_token(server: Callbridge, room: str, identity: str, **grants: object) -> str:
    """A join token, signed by livekit-api with our key."""
    return (api.AccessToken(server.api_key, server.api_secret).with_identity(identity)
            .with_ttl(datetime.timedelta(minutes=10))
            .with_grants(api.VideoGrants(**{"room_join": True, "room": room, **grants})).to_jwt())


def claims(server: Callbridge, room: str, identity: str, **changes: object) -> dict:
    """The claims of a good token with changes; None removes a claim."""
    now = int(time.time())
    good = {"iss": server.api_key, "sub": identity, "iat": now, "nbf": now, "exp": now + 600,
            "video": {"roomJoin": True, "room": room}}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def hand_made(payload: dict, secret: str, algorithm: str = "HS256") -> str:
    """A JWT of whatever is asked for; `none` leaves the signature out."""
    parts = [{"alg": algorithm, "typ": "JWT"}, payload]
    text = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    if algorithm == "none":
        return text + "."
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]
    return text + "." + encoded(hmac.new(secret.encode(), text.encode(), digest).digest())


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims_of(token: str) -> dict:
    """What a JWT says; its signature is not looked at."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def ask_for_socket(server: Callbridge, path: str, token: str | None) -> Answer:
    """The answer to a WebSocket handshake that is expected to be refused."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", path, headers={
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "c2l4dGVlbiBsZXR0ZXJzLg==", **({"Authorization": f"Bearer {token}"} if token else {})})
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()},
                      response.read().decode(errors="replace") if response.status != 101 else "")
    finally:
        connection.close()


def room_service(server: Callbridge, work: Callable[[api.LiveKitAPI], Coroutine]):
    """Runs work with a livekit-api client of the server."""
    async def run():
        async with api.LiveKitAPI(server.url, server.api_key, server.api_secret) as client:
            return await asyncio.wait_for(work(client), 20)
    return asyncio.run(run())
