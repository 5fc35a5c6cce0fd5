# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""What the acceptance tests share: servers for each module, participants for each test, a time limit for everything."""

import re
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from TestBed.bed import MatrixBed  # noqa: E402
from TestBed.callbridge import Callbridge  # noqa: E402
from TestBed.participant import Event, Participant  # noqa: E402
from TestBed.places import TESTBED  # noqa: E402
from TestBed.signal_proxy import SignalProxy  # noqa: E402
from TestBed.turn_site import Site  # noqa: E402

LOGS = TESTBED / "acceptance"


def log_directory(*names: str) -> Path:
    """A new folder for the files of a test or a module; old ones stay beside it until .build is removed."""
    return LOGS.joinpath(*(re.sub(r"[^\w.-]+", "-", name) for name in names), uuid.uuid4().hex[:8])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """No test waits for ever."""
    marker = item.get_closest_marker("limit")
    seconds = marker.args[0] if marker else 120

    def stop(*_: object) -> None:
        raise TimeoutError(f"the test took longer than {seconds} s")
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    yield
    signal.alarm(0)


@pytest.fixture(scope="module")
def focus(request: pytest.FixtureRequest) -> Iterator[Callbridge]:
    """Callbridge as a focus alone; a join makes its room."""
    server = Callbridge(log_directory(request.module.__name__, "focus"), settings={"room": {"auto_create": True}})
    server.start()
    yield server
    assert server.process.is_running, f"Callbridge ended during the tests; {server.process.log}"
    assert server.stop() == 0, f"Callbridge did not end well; {server.process.log}"


@pytest.fixture(scope="module")
def bed(request: pytest.FixtureRequest) -> Iterator[MatrixBed]:
    """Synapse and Callbridge."""
    matrix = MatrixBed(log_directory(request.module.__name__, "matrix"))
    try:
        matrix.start()
        yield matrix
    finally:
        matrix.stop()


@pytest.fixture
def room() -> str:
    return f"room-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def new_participant(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Participant]]:
    """Starts client processes, and ends them with the test."""
    directory = log_directory(request.module.__name__, request.node.name)
    started: list[Participant] = []

    def start(name: str) -> Participant:
        participant = Participant(name, directory / f"{name}.log")
        started.append(participant)
        return participant
    yield start
    for participant in started:
        participant.leave()


@pytest.fixture(params=["v1", "v0"])
def generation(request: pytest.FixtureRequest) -> str:
    """One peer connection (/rtc/v1), or two (/rtc)."""
    return request.param


@pytest.fixture
def address(focus: Callbridge, generation: str) -> Iterator[str]:
    """The focus as clients of the generation see it: those of v0 find no /rtc/v1 and fall back."""
    with SignalProxy(focus.port, hides_v1=generation == "v0") as proxy:
        yield proxy.websocket_url
        assert proxy.sockets, "nobody came through the proxy"


Join = Callable[..., Participant]


@pytest.fixture
def join(focus: Callbridge, address: str, room: str, new_participant: Callable[[str], Participant]) -> Join:
    """`join("alice")`: a new participant in the test's room."""
    def connect(name: str, *token_options: str, **options: object) -> Participant:
        participant = new_participant(name)
        participant.joined: Event = participant.connect(address, focus.token(room, name, *token_options), **options)
        return participant
    return connect


@pytest.fixture
def new_turn_site(request: pytest.FixtureRequest) -> Iterator[Callable[..., Site]]:
    sites: list[Site] = []

    def make(kind: str = "sqlite", options: list[str] | None = None) -> Site:
        site = Site(log_directory(request.module.__name__, request.node.name), kind, options)
        sites.append(site)
        site.start()
        return site
    yield make
    for site in sites:
        site.stop()
