# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Load tests: a server on cores of its own, `callbridge load-test` on another, and whether others disturbed them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from .callbridge import Callbridge, clean_environment
from .janus import Janus
from .places import release_build
from .processes import TimeLimit

Server = TypeVar("Server", bound=Callbridge | Janus)

# Changed only in a commit that says why. A run is disturbed in which others had the processor for longer, in which the
# tester was busier than this, or in which its sockets overflowed. Such a run is repeated, a few times.
WAITING_SHARE = 0.2
BUSY_SHARE = 0.85
REPETITIONS = 2

# Beyond the time that is measured: joining, settling and waiting for quiet.
SECONDS_AROUND = 120

# What keeps a benchmark from measuring.
FAILURES = (OSError, RuntimeError, ValueError, TimeLimit, subprocess.SubprocessError)


class ParticipantsFailed(RuntimeError):
    """Not all came in and stayed; the figures are those of the others."""

    def __init__(self, why: str, figures: dict):
        super().__init__(why)
        self.figures = figures


def two_cores() -> tuple[int, int]:
    """The cores of server and tester.

    Raises an error when there are no two, or there is no program to measure.
    """
    release_build()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise RuntimeError("server and tester need a core each — there is one — another machine")
    return cores[0], cores[1]


def pinned(*cores: int) -> tuple[str, ...]:
    """What a command line begins with to run on these cores, or on any when none is named."""
    return ("taskset", "--cpu-list", ",".join(map(str, cores))) if cores else ()


def callbridge(directory: Path, *cores: int, settings: dict | None = None) -> Callbridge:
    """Callbridge on these cores, in which everybody with the key may open rooms."""
    return Callbridge(directory, launcher=pinned(*cores), settings={
        "room": {"auto_create": True}, "logging": {"level": "warning"}, **(settings or {})})


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """From the time that it answers until it has ended."""
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def tester(server: Callbridge | Janus, cores: tuple[int, ...], seconds: int, *options: str,
           stderr: int | None = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """A load test under way, for `figures`; with stderr None its progress is shown as it comes."""
    environment = clean_environment()
    if isinstance(server, Janus):
        options = ("--signalling", "janus", *options)
    else:
        environment |= {"LIVEKIT_API_KEY": server.api_key, "LIVEKIT_API_SECRET": server.api_secret}
    with subprocess.Popen(
            [*pinned(*cores), str(release_build()), "load-test", "--url", server.websocket_url, "--server-pid",
             str(server.process.pid), "--duration", str(seconds), "--json", "-", *options], env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def figures(process: subprocess.Popen[str], seconds: int) -> dict:
    """What a load test says at its end."""
    limit = seconds + SECONDS_AROUND
    try:
        output, said = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        raise RuntimeError(
            f"the load test did not end within {limit} s — callbridge load-test — run it by hand") from None
    if process.returncode == 0:
        return json.loads(output)
    last = (said or "").strip().rpartition("\n")[2] or (
        f"the load test ended with {process.returncode} — callbridge load-test — see what it said")
    measured = json.loads(output) if output else None
    if measured and measured["failed"] > 0:
        raise ParticipantsFailed(last, measured)
    raise RuntimeError(last)


def run(server: Callbridge | Janus, cores: tuple[int, ...], seconds: int, *options: str) -> dict:
    """The figures of a load test."""
    with tester(server, cores, seconds, *options) as process:
        return figures(process, seconds)


def value(measured: dict, *path: str) -> float:
    """One of the figures."""
    found = measured
    for name in path:
        found = found.get(name)
        if found is None:
            raise RuntimeError(f"the load test measured no {' '.join(path)} — its figures — measure for longer")
    return found


def disturbance(measured: dict, counts_server: bool) -> str | None:
    """A sentence on what makes the figures say less of the server than they seem to.

    The server's waiting does not count when its own threads wait for each other on one core.
    """
    own = measured["tester"]
    if own["overflow"] > 0:
        return f"{own['overflow']:,} datagrams found no room in the tester's sockets"
    if own["processor_share"] > BUSY_SHARE:
        return f"the tester was busy for {100 * own['processor_share']:.0f} % of a core"
    waits = {"tester": own["waiting_share"]}
    if counts_server:
        waits["server"] = value(measured, "server", "waiting_share")
    name, share = max(waits.items(), key=lambda item: item[1])
    return f"the {name} waited for a processor {100 * share:.0f} % of the time" if share > WAITING_SHARE else None


def undisturbed(measure: Callable[[int], dict], counts_server: bool = True) -> tuple[dict, str | None]:
    """The figures of the first run that was not disturbed, or those of the last and what disturbed it.

    Each run is measured under a number of its own.
    """
    for number in range(1 + REPETITIONS):
        measured = measure(number)
        disturbed = disturbance(measured, counts_server)
        if disturbed is None:
            break
        print(f"        disturbed: {disturbed}", file=sys.stderr, flush=True)
    return measured, disturbed
