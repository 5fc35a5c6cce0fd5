# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""A participant that only signals: what it is told, when its socket ends, and the ICE credentials it was given."""

import asyncio
import re
import threading
import time

import aiohttp
from livekit.protocol import rtc as signal_protocol

from .callbridge import Callbridge
from .processes import wait_until


class Signalling:
    """A signalling socket of the older path, on which the server offers at once. Times are of `time.monotonic`."""

    def __init__(self, server: Callbridge, token: str):
        self.server, self.token = server, token
        self.responses: list[signal_protocol.SignalResponse] = []
        self.closed_at: float | None = None
        self.close_code: int | None = None
        self.failure: BaseException | None = None
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self) -> "Signalling":
        self.thread.start()
        wait_until(lambda: self.find("join") or self.closed_at, 20, "the socket joins or ends")
        assert self.failure is None and self.find("join"), self.failure
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()
        self.thread.join(10)

    def run(self) -> None:
        self.loop.run_until_complete(self.listen())

    async def listen(self) -> None:
        try:
            async with aiohttp.ClientSession() as session:
                headers = {"Authorization": "Bearer " + self.token}
                url = self.server.url + "/rtc?protocol=16&sdk=js"
                async with session.ws_connect(url, headers=headers, max_msg_size=0) as self.socket:
                    async for message in self.socket:
                        if message.type is aiohttp.WSMsgType.BINARY:
                            self.responses.append(signal_protocol.SignalResponse.FromString(message.data))
                    self.close_code = self.socket.close_code
        except (aiohttp.ClientError, asyncio.CancelledError) as failure:
            self.failure = failure
        self.closed_at = time.monotonic()

    def abort(self) -> None:
        """Breaks the connection without a goodbye."""
        def cut() -> None:
            response = getattr(self.socket, "_response", None)
            if response is not None and response.connection is not None and response.connection.transport is not None:
                response.connection.transport.abort()
        if self.closed_at is None:
            self.loop.call_soon_threadsafe(cut)

    def find(self, kind: str):
        """The first response of the kind, if it came."""
        for response in list(self.responses):
            if response.WhichOneof("message") == kind:
                return getattr(response, kind)
        return None

    @property
    def sid(self) -> str:
        return self.find("join").participant.sid

    def ice_credentials(self) -> tuple[str, str]:
        """The server's user name fragment and password, from its first offer."""
        sdp = wait_until(lambda: self.find("offer"), 20, "the server offers").sdp
        return re.search(r"a=ice-ufrag:(\S+)", sdp)[1], re.search(r"a=ice-pwd:(\S+)", sdp)[1]
