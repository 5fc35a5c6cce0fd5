#!/usr/bin/env python3
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""What the Matrix side bears: transactions of a busy homeserver, and token requests with membership checks.

    Benchmarks/matrix-load.py [--seconds 20] [--only events|tokens ...]

events: 2,000 events a second in transactions of 100, one in flight at a time, as Synapse sends them; the time to each
answer of 200, which says that the transaction is on the disk. tokens: 500 requests a second to /sfu/get by 600 users,
each verified with an OpenID token and checked for membership and power level in a room of 10,000.

The homeserver is a stub in this process, because a real one is slower than what is measured here; it runs beside
Callbridge and takes its share of the machine. Prints a table and, as the last line, JSON. Exit 1 when a measurement is
over its threshold, 2 when it could not be made. Needs `swift build -c release`.
"""

import argparse
import asyncio
import json
import re
import statistics
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "Tests"))

from TestBed.callbridge import Callbridge  # noqa: E402
from TestBed.places import free_tcp_port, release_build  # noqa: E402
from TestBed.processes import wait_until  # noqa: E402

# Changed only in a commit that says why.
EVENTS_A_SECOND, EVENTS_IN_A_TRANSACTION, TRANSACTION_P99_MILLISECONDS = 2000, 100, 50.0
TOKENS_A_SECOND, TOKEN_USERS, ROOM_MEMBERS = 500, 600, 10_000
ROOM, SERVER = "!load", "callbridge.test"


def user(number: int) -> str:
    return f"@user-{number}:{SERVER}"


class Connection:
    """HTTP/1.1 with keep-alive, as little of it as it takes."""

    def __init__(self, port: int):
        self.port = port
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, path: str, body: bytes, token: str | None = None) -> int:
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        authorization = f"Authorization: Bearer {token}\r\n" if token else ""
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{authorization}"
                     f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
        return int(head.split(b" ", 2)[1])


class StubHomeserver:
    """Knows every user and one large room, and answers at once."""

    def __init__(self) -> None:
        self.port = free_tcp_port()
        self.answered = 0
        joined = [user(number) for number in range(ROOM_MEMBERS)] + [f"@callbot:{SERVER}"]
        levels = {"users_default": 0, "events": {"org.matrix.msc3401.call.member": 0}}
        events = [self.state("m.room.create", "", {"room_version": "11"}, 0),
                  self.state("m.room.power_levels", "", levels, 1)]
        events += [self.state("m.room.member", name, {"membership": "join"}, number + 2)
                   for number, name in enumerate(joined)]
        self.room_state = json.dumps(events).encode()
        self.answers = {
            "/_matrix/client/v3/account/whoami": {"user_id": f"@callbot:{SERVER}"},
            "/_matrix/client/v3/register": {"user_id": f"@callbot:{SERVER}"},
            "/_matrix/client/v1/appservice/callbridge/ping": {"duration_ms": 1},
            "/_matrix/client/v3/joined_rooms": {"joined_rooms": [ROOM]},
        }
        self.is_up = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True).start()
        self.is_up.wait(10)

    @staticmethod
    def state(kind: str, key: str, content: dict, number: int) -> dict:
        return {"type": kind, "state_key": key, "content": content, "sender": user(0), "room_id": ROOM,
                "event_id": f"$state-{number}", "origin_server_ts": 1_790_000_000_000}

    async def serve(self) -> None:
        server = await asyncio.start_server(self.talk, "127.0.0.1", self.port)
        self.is_up.set()
        await server.serve_forever()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                if length:
                    await reader.readexactly(int(length[1]))
                target = urllib.parse.urlsplit(head.split(b" ", 2)[1].decode())
                status, body = self.answer(urllib.parse.unquote(target.path), target.query)
                self.answered += 1
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
                             f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def answer(self, path: str, query: str) -> tuple[int, bytes]:
        if path == "/_matrix/federation/v1/openid/userinfo":
            return 200, json.dumps({"sub": user(int(query.rsplit("-", 1)[1]))}).encode()
        if path == f"/_matrix/client/v3/rooms/{ROOM}/state":
            return 200, self.room_state
        if path in self.answers:
            return 200, json.dumps(self.answers[path]).encode()
        return 404, b'{"errcode":"M_UNRECOGNIZED","error":"stub"}'


def event(number: int, now: int) -> dict:
    """What a busy homeserver pushes: mostly messages, one in ten about calls."""
    base = {"room_id": f"!room-{number % 200}", "sender": user(number % 5000), "event_id": f"$load-{number}",
            "origin_server_ts": now, "unsigned": {"age": 12}}
    if number % 10:
        return {**base, "type": "m.room.message", "content": {"msgtype": "m.text", "body": "words " * 40}}
    device = f"DEVICE{number % 7}"
    return {**base, "type": "org.matrix.msc3401.call.member", "state_key": f"_{base['sender']}_{device}_m.call",
            "content": {"application": "m.call", "call_id": "", "scope": "m.room", "device_id": device,
                        "expires": 14_400_000, "created_ts": now,
                        "focus_active": {"type": "livekit", "focus_selection": "multi_sfu"},
                        "foci_preferred": [{"type": "livekit", "livekit_service_url": "https://call.example.org"}]}}


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000


async def measure_events(callbridge: Callbridge, seconds: float) -> dict:
    token = re.search(r"^hs_token:\s*\"?([^\"\s]+)", callbridge.registration.read_text(), re.MULTILINE)[1]
    connection, times, late = Connection(callbridge.port), [], 0
    count = int(EVENTS_A_SECOND * seconds / EVENTS_IN_A_TRANSACTION)
    began = time.monotonic()
    for index in range(count):
        due = began + index * EVENTS_IN_A_TRANSACTION / EVENTS_A_SECOND
        delay = due - time.monotonic()
        if delay > 0:
            await asyncio.sleep(delay)
        else:
            late += 1
        now = int(time.time() * 1000)
        body = json.dumps({"events": [
            event(index * EVENTS_IN_A_TRANSACTION + n, now) for n in range(EVENTS_IN_A_TRANSACTION)]}).encode()
        sent = time.monotonic()
        status = await connection.request("PUT", f"/_matrix/app/v1/transactions/{index}", body, token)
        times.append(time.monotonic() - sent)
        if status != 200:
            raise RuntimeError(f"transaction {index} was answered {status}")
    rate = count * EVENTS_IN_A_TRANSACTION / (time.monotonic() - began)
    waiting = wait_for_empty(callbridge)
    return {"name": "answer to a transaction, p99", "value": quantile(times, 0.99), "unit": "ms",
            "threshold": TRANSACTION_P99_MILLISECONDS,
            "detail": {"events_a_second": round(rate), "median_ms": round(statistics.median(times) * 1000, 2),
                       "late": late, "processed_after_s": round(waiting, 2)}}


def wait_for_empty(callbridge: Callbridge) -> float:
    """How long the last transaction takes to be processed."""
    began = time.monotonic()
    wait_until(lambda: callbridge.rows("SELECT count(*) FROM transactions WHERE body IS NOT NULL") == [(0,)], 120,
               "every transaction is processed")
    return time.monotonic() - began


async def measure_tokens(callbridge: Callbridge, seconds: float) -> dict:
    times: list[float] = []
    statuses: dict[int, int] = {}
    bodies = [json.dumps({
        "room": ROOM, "device_id": "DEVICE",
        "openid_token": {"access_token": f"token-{number}", "token_type": "Bearer", "matrix_server_name": SERVER,
                         "expires_in": 3600}}).encode() for number in range(TOKEN_USERS)]
    total, began, workers = int(TOKENS_A_SECOND * seconds), time.monotonic(), 64

    async def work(first: int) -> None:
        connection = Connection(callbridge.port)
        for index in range(first, total, workers):
            delay = began + index / TOKENS_A_SECOND - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            sent = time.monotonic()
            status = await connection.request("POST", "/sfu/get", bodies[index % TOKEN_USERS])
            times.append(time.monotonic() - sent)
            statuses[status] = statuses.get(status, 0) + 1
    await asyncio.gather(*(work(first) for first in range(workers)))
    rate = statuses.get(200, 0) / (time.monotonic() - began)
    # As a shortfall, so that lower is better as everywhere: nothing of the asked rate may be missing.
    return {"name": "tokens a second that were missing", "value": max(0.0, TOKENS_A_SECOND - rate), "unit": "/s",
            "threshold": TOKENS_A_SECOND * 0.02,
            "detail": {"tokens_a_second": round(rate), "p50_ms": round(quantile(times, 0.5), 1),
                       "p99_ms": round(quantile(times, 0.99), 1), "statuses": statuses}}


def main() -> int:
    arguments = argparse.ArgumentParser(description="What the Matrix side bears.")
    arguments.add_argument("--seconds", type=float, default=20)
    arguments.add_argument("--only", nargs="*", choices=["events", "tokens"], default=["events", "tokens"])
    options = arguments.parse_args()
    results = []
    try:
        release_build()
        for name in options.only:
            homeserver = StubHomeserver()
            with tempfile.TemporaryDirectory() as directory:
                callbridge = Callbridge(Path(directory), f"http://127.0.0.1:{homeserver.port}",
                                        settings={"logging": {"level": "warning"}})
                try:
                    callbridge.start()
                    wait_until(callbridge.is_ready, 30, "Callbridge is ready")
                    wait_until(lambda: callbridge.rows("SELECT count(*) FROM room_errands") == [(0,)], 30,
                               "the room is known")
                    measure = measure_events if name == "events" else measure_tokens
                    results.append(asyncio.run(measure(callbridge, options.seconds)))
                finally:
                    callbridge.stop()
    except (OSError, RuntimeError, AssertionError) as error:
        print(f"matrix-load: {error}", file=sys.stderr)
        return 2
    for result in results:
        holds = result["value"] < result["threshold"]
        print(f"{'ok  ' if holds else 'OVER'}  {result['name']:<36} {result['value']:8.1f} {result['unit']:<3} "
              f"(below {result['threshold']:g})  {result['detail']}")
    print(json.dumps(results))
    return 0 if all(result["value"] < result["threshold"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
