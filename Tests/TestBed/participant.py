# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""The test's end of a client process: sends commands, waits for events."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .places import CLIENTS_PYTHON, REPOSITORY, existing
from .processes import TimeLimit

Event = dict


class CommandFailed(AssertionError):
    """A client could not do what it was told."""


class Participant:
    """One participant, a process of its own on the livekit SDK.

    Every event is kept in the order of arrival; waiting looks at what came since a mark, so that nothing is missed.
    """

    def __init__(self, name: str, log: Path, prefix: list[str] | None = None):
        """`prefix` starts the process elsewhere, such as in a network namespace."""
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self.events: list[Event] = []
        self.changed = threading.Condition()
        self.number = 0
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [*(prefix or []), str(existing(CLIENTS_PYTHON, "the livekit SDK")), "-m", "TestBed.livekit_client"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY / "Tests"), "RUST_LOG": "livekit=debug,info"})
        threading.Thread(target=self.read, daemon=True).start()
        self.wait_for("ready", seconds=30)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"event": "output", "text": line.decode(errors="replace")}
            with self.changed:
                self.events.append(event)
                self.changed.notify_all()
        with self.changed:
            self.events.append({"event": "ended"})
            self.changed.notify_all()

    # Events

    @property
    def mark(self) -> int:
        """A place in the events; give it to `wait_for` as `since`."""
        with self.changed:
            return len(self.events)

    def wait_for(self, kind: str, matches: Callable[[Event], object] | None = None, seconds: float = 20,
                 since: int = 0, **fields: object) -> Event:
        """The first event of the kind with these fields after the mark."""
        deadline = time.monotonic() + seconds
        position = since
        with self.changed:
            while True:
                while position < len(self.events):
                    event = self.events[position]
                    position += 1
                    if event["event"] == kind and all(event.get(k) == v for k, v in fields.items()) and (
                            matches is None or matches(event)):
                        return event
                    if event["event"] == "ended" and kind != "ended":
                        raise CommandFailed(f"{self.name} ended with {self.process.poll()} while waiting for {kind} "
                                            f"{fields}; log {self.log}\n{self.tail()}")
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise TimeLimit(f"{self.name}: not within {seconds:g} s: {kind} {fields or ''}; log {self.log}; "
                                    f"until then: {self.events[-20:]}\n{self.tail()}")
                self.changed.wait(remaining)

    def saw(self, kind: str, since: int = 0, **fields: object) -> list[Event]:
        """The events of the kind with these fields so far."""
        with self.changed:
            return [event for event in self.events[since:]
                    if event["event"] == kind and all(event.get(k) == v for k, v in fields.items())]

    def tail(self, count: int = 12) -> str:
        return "\n".join("  " + json.dumps(event)[:240] for event in self.events[-count:]
                         if event["event"] != "counts")

    # Commands

    def start(self, action: str, **arguments: object) -> int:
        """Sends a command and does not wait; `result` does."""
        self.number += 1
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"id": self.number, "do": action, **arguments}).encode() + b"\n")
        self.process.stdin.flush()
        return self.number

    def result(self, number: int, seconds: float = 30) -> Event:
        """The answer to a command that was started."""
        answer = self.wait_for_answer(number, seconds)
        if answer["event"] == "failed":
            raise CommandFailed(f"{self.name}: {answer['error']}; log {self.log}")
        return answer

    def do(self, action: str, seconds: float = 30, **arguments: object) -> Event:
        """A command and its result."""
        return self.result(self.start(action, **arguments), seconds)

    def wait_for_answer(self, number: int, seconds: float) -> Event:
        deadline = time.monotonic() + seconds
        position = 0
        with self.changed:
            while True:
                while position < len(self.events):
                    event = self.events[position]
                    position += 1
                    if event["event"] in ("done", "failed") and event.get("id") == number:
                        return event
                    if event["event"] == "ended":
                        raise CommandFailed(
                            f"{self.name} ended with {self.process.poll()}; log {self.log}\n{self.tail()}")
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise TimeLimit(f"{self.name}: no answer to command {number} within {seconds:g} s; log {self.log}\n"
                                    f"{self.tail()}")
                self.changed.wait(remaining)

    def connect(self, url: str, token: str, **options: object) -> Event:
        return self.do("connect", seconds=60, url=url, token=token, **options)

    def counts(self, publisher: str, track: str) -> dict:
        """What was received of a track up to now; zeros before the first."""
        answer = self.do("counts")
        empty = {"frames": 0, "good": 0, "windows": 0}
        return {**answer["received"].get(f"{publisher}/{track}", empty), "at": answer["at"]}

    # Ends

    def leave(self) -> None:
        """Says goodbye and ends."""
        if self.process.poll() is None:
            try:
                self.do("disconnect", seconds=10)
            except AssertionError:
                pass
            self.end()

    def end(self) -> None:
        if self.process.poll() is None:
            assert self.process.stdin is not None
            try:
                self.process.stdin.close()
                self.process.wait(5)
            except (subprocess.TimeoutExpired, OSError):
                self.kill()

    def kill(self) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
