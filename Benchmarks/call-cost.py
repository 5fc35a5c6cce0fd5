#!/usr/bin/env python3
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""What Callbridge costs: idle memory, the processor time of a two-party video call, and the wait for a token.

    Benchmarks/call-cost.py [--seconds 60] [--only idle|call|token ...]

Prints a table and, as the last line, JSON. Exit 1 when a measurement is over its threshold, 2 when it could not be made.
Needs `swift build -c release` and what Scripts/install-dependencies.sh installs. Run it on a machine that does nothing
else: the clients and Synapse run beside Callbridge, and only Callbridge is measured.
"""

import argparse
import http.client
import http.server
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "Tests"))

from TestBed.callbridge import Callbridge  # noqa: E402
from TestBed.matrix import User, http as request  # noqa: E402
from TestBed.participant import Participant  # noqa: E402
from TestBed.places import free_tcp_port, free_udp_port, release_build  # noqa: E402
from TestBed.processes import ServerProcess, wait_until  # noqa: E402
from TestBed.synapse import Synapse  # noqa: E402

# Changed only in a commit that says why.
IDLE_MEBIBYTES = 30.0
CALL_PERCENT_OF_A_CORE = 10.0
TOKEN_MILLISECONDS = 20.0

TOKEN_USERS = 4
TOKENS_OF_A_USER = 8


@dataclass
class Measurement:
    """One number with the threshold it must stay below."""

    name: str
    value: float
    threshold: float
    unit: str
    detail: dict

    @property
    def holds(self) -> bool:
        return self.value < self.threshold


def memory(pid: int) -> dict[str, float]:
    """Resident memory of a process in MiB, all of it and the part that no file backs."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon")}


def processor_seconds(pid: int) -> float:
    """User and system time of all threads of a process so far."""
    # The name in parentheses may hold anything, so count from behind it.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_idle(directory: Path) -> Measurement:
    """Memory of `callbridge serve --dev` a while after it began to answer."""
    port = free_tcp_port()
    server = ServerProcess("Callbridge", [
        str(release_build()), "serve", "--dev", "--bind", "127.0.0.1", "--port", str(port),
        "--rtc-port", str(free_udp_port()), "--data", str(directory / "data")], directory / "idle.log", directory=directory)

    def answers() -> bool:
        try:
            return request("GET", f"http://127.0.0.1:{port}/", seconds=2).status == 200
        except OSError:
            return False

    server.start()
    try:
        server.wait_until_ready(answers, 30)
        time.sleep(5)
        resident = memory(server.pid)
    finally:
        server.stop()
    return Measurement("idle memory", resident["VmRSS"], IDLE_MEBIBYTES, "MiB", {"unbacked": resident["RssAnon"]})


def measure_call(directory: Path, seconds: float) -> Measurement:
    """Processor share of Callbridge while two clients see and hear each other."""
    callbridge = Callbridge(directory / "call", settings={"logging": {"level": "info"}})
    participants: list[Participant] = []
    callbridge.start()
    try:
        for name in ("alice", "bob"):
            participant = Participant(name, directory / f"{name}.log")
            participants.append(participant)
            participant.connect(callbridge.websocket_url, callbridge.token("benchmark", name))
        for participant in participants:
            participant.do("publish_video", width=1280, height=720, rate=30, kilobits=1500)
            participant.do("publish_audio")
        alice, bob = participants

        def frames() -> tuple[int, int]:
            return bob.counts("alice", "video")["frames"], alice.counts("bob", "video")["frames"]

        wait_until(lambda: min(frames()) > 0, 30, "both see each other")
        # Bandwidth estimation and the first key frames belong to the start of a call, not to the call.
        time.sleep(10)
        pid = callbridge.process.pid
        first_frames, first_time, first_use = frames(), time.monotonic(), processor_seconds(pid)
        time.sleep(seconds)
        use, elapsed = processor_seconds(pid) - first_use, time.monotonic() - first_time
        rates = [(last - first) / elapsed for first, last in zip(first_frames, frames())]
        if min(rates) < 20:
            raise RuntimeError(f"too little video to measure: {rates} frames a second")
        return Measurement("two-party video call", 100 * use / elapsed, CALL_PERCENT_OF_A_CORE, "% of a core", {
            "frames_per_second": [round(rate, 1) for rate in rates], "seconds": round(elapsed, 1),
            "resident_mebibytes": round(memory(pid)["VmRSS"], 1)})
    finally:
        for participant in participants:
            participant.end()
        callbridge.stop()


class HomeserverClock:
    """Stands between Callbridge and the homeserver and notes how long the homeserver takes for each request."""

    def __init__(self, upstream_port: int):
        self.intervals: list[tuple[float, float]] = []
        clock = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            upstream: http.client.HTTPConnection | None = None

            def forward(self) -> None:
                began = time.monotonic()
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.upstream is None:
                    self.upstream = http.client.HTTPConnection("127.0.0.1", upstream_port, timeout=30)
                self.upstream.request(self.command, self.path, body or None, dict(self.headers))
                response = self.upstream.getresponse()
                answer = response.read()
                head = [f"HTTP/1.1 {response.status} {response.reason}"]
                head += [f"{name}: {value}" for name, value in response.getheaders()
                         if name.lower() not in ("connection", "transfer-encoding", "content-length")]
                head += [f"Content-Length: {len(answer)}", "", ""]
                clock.intervals.append((began, time.monotonic()))
                self.wfile.write("\r\n".join(head).encode() + answer)

            do_GET = do_POST = do_PUT = do_DELETE = forward

            def log_message(self, *_: object) -> None:
                """Nothing is said of each request."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def busy(self, began: float, ended: float) -> float:
        """Seconds between two instants in which the homeserver had a request of ours."""
        busy, last = 0.0, began
        for first, end in sorted(self.intervals):
            first, end = max(first, last), min(end, ended)
            if end > first:
                busy += end - first
                last = end
        return busy


def measure_token(directory: Path) -> Measurement:
    """What /sfu/get takes beyond the homeserver's answers about the OpenID token and the membership."""
    port = free_tcp_port()
    clock = HomeserverClock(port)
    callbridge = Callbridge(directory / "token", clock.url, settings={"logging": {"level": "info"}})
    synapse = Synapse(
        directory / "synapse", [callbridge.registration, callbridge.delegated_registration], callbridge.url,
        callbridge.websocket_url, callbridge.server_name, port)
    synapse.start()
    try:
        callbridge.start()
        wait_until(callbridge.is_ready, 30, "Callbridge and the homeserver know each other")
        own: list[float] = []
        whole: list[float] = []
        connection = http.client.HTTPConnection("127.0.0.1", callbridge.port, timeout=30)
        for number in range(TOKEN_USERS):
            user = User(synapse.url, f"user{number}", synapse.shared_secret)
            room = user.create_encrypted_room([])
            user.join_call(room, callbridge.url)
            for _ in range(TOKENS_OF_A_USER):
                body = json.dumps(user.call_token_request(room)).encode()
                began = time.monotonic()
                connection.request("POST", "/sfu/get", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
                ended = time.monotonic()
                if answer.status != 200:
                    raise RuntimeError(f"/sfu/get answered {answer.status}: {text.decode(errors='replace')}")
                own.append(1000 * (ended - began - clock.busy(began, ended)))
                whole.append(1000 * (ended - began))
        # The first ones open connections and meet cold caches.
        own, whole = own[2:], whole[2:]
        return Measurement("token request, own part", statistics.median(own), TOKEN_MILLISECONDS, "ms", {
            "p95": round(statistics.quantiles(own, n=20)[-1], 2), "with_homeserver": round(statistics.median(whole), 2),
            "requests": len(own)})
    finally:
        callbridge.stop()
        synapse.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures what Callbridge costs, against thresholds.")
    parser.add_argument("--seconds", type=float, default=60, help="how long the call is measured (default: 60)")
    parser.add_argument("--only", nargs="+", choices=["idle", "call", "token"], default=["idle", "call", "token"])
    arguments = parser.parse_args()
    try:
        os.environ["CALLBRIDGE_BINARY"] = str(release_build())
    except FileNotFoundError as error:
        print(f"call-cost: {error}", file=sys.stderr)
        return 2
    work = {
        "idle": measure_idle,
        "call": lambda directory: measure_call(directory, arguments.seconds),
        "token": measure_token,
    }
    results: list[Measurement] = []
    failures = 0
    with tempfile.TemporaryDirectory(prefix="callbridge-cost-") as directory:
        for name in arguments.only:
            try:
                result = work[name](Path(directory))
            except Exception as error:  # each measurement stands alone; the others are worth having
                failures += 1
                print(f"  none  {name}: {error}", file=sys.stderr)
                continue
            results.append(result)
            print(f"  {'pass' if result.holds else 'OVER'}  {result.name:<26} {result.value:8.2f} {result.unit:<12} "
                  f"(below {result.threshold:g})", flush=True)
    print(json.dumps({result.name: {
        "value": round(result.value, 3), "unit": result.unit, "threshold": result.threshold, "holds": result.holds,
        **result.detail} for result in results}))
    if failures:
        return 2
    return 0 if all(result.holds for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
