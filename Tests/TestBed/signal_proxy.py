# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""A proxy in front of the signalling port: hides a generation of paths, cuts connections, changes resumes."""

import asyncio
import base64
import gzip
import threading
import urllib.parse
from collections.abc import Coroutine

from livekit.protocol import rtc as signal_protocol


class SignalProxy:
    """Passes connections on to a port of loopback.

    `hides_v1` answers /rtc/v1 with 404, as a server does that knows only /rtc. `stalls` keeps new requests waiting
    until it is false again. `forgets` replaces the participant's id in resumes by one that no server has given.
    `paths` are all paths asked for.
    """

    def __init__(self, target_port: int, hides_v1: bool = False):
        self.target_port = target_port
        self.hides_v1 = hides_v1
        self.stalls = False
        self.forgets = False
        self.paths: list[str] = []
        self.port = 0
        self.open: set[asyncio.StreamWriter] = set()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "SignalProxy":
        self.thread.start()
        self.port = self.call(self.listen())
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    def call(self, work: Coroutine):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def cut(self) -> int:
        """Breaks every connection without a goodbye; returns how many there were."""
        return self.call(self.abort())

    @property
    def sockets(self) -> list[str]:
        """The paths of the signalling sockets asked for, without their queries, in order."""
        return [path for path, _, _ in (p.partition("?") for p in self.paths) if path in ("/rtc", "/rtc/v1")]

    # Inside the loop

    async def listen(self) -> int:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, limit=1 << 20)
        return self.server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self.server.close()
        await self.abort()

    async def abort(self) -> int:
        count = len(self.open)
        for writer in list(self.open):
            writer.transport.abort()
        return count // 2

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, path, version = head.split(b"\r\n", 1)[0].decode().split(" ")
            self.paths.append(path)
            while self.stalls:
                await asyncio.sleep(0.02)
            if self.hides_v1 and path.split("?")[0].startswith("/rtc/v1"):
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n"
                             b"Access-Control-Allow-Origin: *\r\n\r\n")
                await writer.drain()
                writer.close()
            else:
                await self.forward(self.request(method, path, version, head), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            writer.transport.abort()

    def request(self, method: str, path: str, version: str, head: bytes) -> bytes:
        lines = head.decode("latin-1").split("\r\n")
        if self.forgets:
            path = forgotten(path)
        lines[0] = f"{method} {path} {version}"
        if not any(line.lower().startswith("upgrade:") for line in lines):
            # One request for each connection, so that every path is seen.
            lines = [line for line in lines if not line.lower().startswith("connection:")]
            lines.insert(1, "Connection: close")
        return "\r\n".join(lines).encode("latin-1")

    async def forward(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self.target_port, limit=1 << 20)
        self.open |= {writer, upstream}
        upstream.write(head)
        try:
            await asyncio.gather(pass_on(reader, upstream), pass_on(upstream_reader, writer))
        finally:
            self.open -= {writer, upstream}
            writer.close()
            upstream.close()


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


def forgotten(path: str) -> str:
    """The path of a resume with the id of a participant that never was; other paths as they are."""
    route, _, query = path.partition("?")
    values = urllib.parse.parse_qsl(query, keep_blank_values=True)
    changed = []
    for name, value in values:
        if name == "sid":
            value = "PA_neverwasthere"
        elif name == "join_request":
            value = forgotten_join(value)
        changed.append((name, value))
    return route + "?" + urllib.parse.urlencode(changed) if values else path


def forgotten_join(text: str) -> str:
    wrapped = signal_protocol.WrappedJoinRequest.FromString(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    is_gzip = wrapped.compression == signal_protocol.WrappedJoinRequest.GZIP
    request = signal_protocol.JoinRequest.FromString(
        gzip.decompress(wrapped.join_request) if is_gzip else wrapped.join_request)
    if not request.reconnect:
        return text
    request.participant_sid = "PA_neverwasthere"
    answer = signal_protocol.WrappedJoinRequest(join_request=request.SerializeToString())
    return base64.urlsafe_b64encode(answer.SerializeToString()).decode()
