# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Child processes whose output is kept, and waiting for a condition within a time limit."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")


class TimeLimit(AssertionError):
    """Something did not happen in time."""


def wait_until(condition: Callable[[], Value | None], seconds: float, what: str) -> Value:
    """The first true value of the condition, which is asked about twenty times a second."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeLimit(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)


class ServerProcess:
    """A program that runs until it is told to stop; standard output and error go to one log file."""

    def __init__(self, name: str, command: list[str], log: Path, environment: dict[str, str] | None = None,
                 directory: Path | None = None):
        self.name = name
        self.command = command
        self.log = log
        self.environment = environment
        self.directory = directory
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=os.environ if self.environment is None else self.environment, cwd=self.directory,
                start_new_session=True)

    @property
    def is_running(self) -> bool:
        return self.child is not None and self.child.poll() is None

    @property
    def pid(self) -> int:
        assert self.child is not None, f"{self.name} was not started"
        return self.child.pid

    def wait_until_ready(self, is_ready: Callable[[], bool], seconds: float) -> None:
        """Until it answers.

        Raises an error with the end of the log when it ends before that, or does not answer in time.
        """
        def ready() -> bool:
            if not self.is_running:
                raise RuntimeError(f"{self.name} ended with code {self.child and self.child.returncode} at start; "
                                   f"log {self.log}:\n{self.log_end()}")
            return is_ready()
        try:
            wait_until(ready, seconds, f"{self.name} answers")
        except TimeLimit as limit:
            raise TimeLimit(f"{limit}; log {self.log}:\n{self.log_end()}") from None

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_end(self, lines: int = 25) -> str:
        return "\n".join(self.log_text().splitlines()[-lines:])

    def stop(self, seconds: float = 15) -> int | None:
        """Asks it to end, makes it end when it does not, and returns its exit code."""
        if self.child is None:
            return None
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.child.returncode

    def kill(self) -> None:
        """Ends it at once, without a chance to say goodbye."""
        if self.child is not None and self.child.poll() is None:
            os.kill(self.child.pid, signal.SIGKILL)
            self.child.wait()
