# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""The Callbridge binary: its configuration, its process, its database, its tokens."""

import json
import os
import sqlite3
import subprocess
import urllib.error
from dataclasses import dataclass, field
from pathlib import Path

from .matrix import Answer, http
from .places import callbridge_program, free_tcp_port, free_udp_port
from .processes import ServerProcess


def clean_environment() -> dict[str, str]:
    """This process's variables without those that Callbridge would read as its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("LIVEKIT_", "CALLBRIDGE_"))}


def run_callbridge(*arguments: str, environment: dict[str, str] | None = None, directory: Path | None = None,
                   seconds: float = 30) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [str(callbridge_program()), *arguments], capture_output=True, text=True, timeout=seconds, check=False,
        env={**clean_environment(), **(environment or {})}, cwd=directory, stdin=subprocess.DEVNULL)


@dataclass
class Callbridge:
    """One server process. Give it a homeserver's address and name, or it is a focus alone."""

    directory: Path
    homeserver_url: str | None = None
    server_name: str = "callbridge.test"
    settings: dict = field(default_factory=dict)
    matrix_settings: dict = field(default_factory=dict)
    port: int = field(default_factory=free_tcp_port)
    rtc_port: int = field(default_factory=free_udp_port)
    host: str = "127.0.0.1"
    """Where it listens."""
    launcher: tuple[str, ...] = ()
    """What the command line begins with: a program that starts it in another network."""

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.api_key = "acceptance"
        self.process = ServerProcess(
            "Callbridge",
            [*self.launcher, str(callbridge_program()), "serve", "--config", str(self.configuration_file)],
            self.directory / "callbridge.log", environment=clean_environment(), directory=self.directory)
        self.write_configuration()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def websocket_url(self) -> str:
        return f"ws://{self.host}:{self.port}"

    @property
    def configuration_file(self) -> Path:
        return self.directory / "callbridge.yaml"

    @property
    def registration(self) -> Path:
        return self.directory / "registration.yaml"

    @property
    def delegated_registration(self) -> Path:
        return self.directory / "delegated.yaml"

    @property
    def database(self) -> Path:
        """The SQLite file: the only database in the data directory."""
        files = list((self.directory / "data").glob("*.db"))
        assert len(files) == 1, files
        return files[0]

    @property
    def api_secret(self) -> str:
        return (self.directory / "keys").read_text().split(": ", 1)[1].strip()

    def write_configuration(self) -> None:
        """Everything an operator would do with the commands, in their order."""
        keys = self.directory / "keys"
        if not keys.exists():
            self.command("keys", "new", "--name", self.api_key, "--output", str(keys))
        configuration: dict = {
            "port": self.port,
            "bind_addresses": ["127.0.0.1", "::1"] if self.host == "127.0.0.1" else [self.host],
            "data_directory": str(self.directory / "data"),
            "key_file": str(keys),
            "rtc": {"udp_port": self.rtc_port, "enable_loopback_candidate": True},
            "logging": {"level": "debug"},
        }
        if self.homeserver_url:
            configuration["matrix"] = {
                "homeserver_url": self.homeserver_url,
                "server_name": self.server_name,
                "appservice_url": self.url,
                "registration": str(self.registration),
                "delegated_registration": str(self.delegated_registration),
                "livekit_service_url": self.url,
                "websocket_url": self.websocket_url,
                **self.matrix_settings,
            }
        for name, value in self.settings.items():
            if isinstance(value, dict):
                configuration[name] = {**configuration.get(name, {}), **value}
            else:
                configuration[name] = value
        self.configuration_file.write_text(json.dumps(configuration, indent=1))
        if self.homeserver_url and not self.registration.exists():
            self.command("generate-registration", "--config", str(self.configuration_file))

    def command(self, *arguments: str) -> str:
        """The standard output of a command that must succeed."""
        result = run_callbridge(*arguments)
        if result.returncode != 0:
            raise RuntimeError(f"callbridge {' '.join(arguments)} ended with {result.returncode}:\n{result.stderr}")
        return result.stdout

    def start(self, seconds: float = 30) -> None:
        self.process.start()
        self.process.wait_until_ready(self.answers, seconds)

    def stop(self) -> int | None:
        return self.process.stop()

    def kill(self) -> None:
        self.process.kill()

    def answers(self) -> bool:
        try:
            return http("GET", self.url + "/", seconds=2).status == 200
        except (urllib.error.URLError, OSError):
            return False

    def is_ready(self) -> bool:
        """Whether the homeserver was reached and recognised us."""
        return http("GET", self.url + "/readyz", seconds=5).status == 200

    def sfu_get(self, body: object, seconds: float = 30) -> Answer:
        return http("POST", self.url + "/sfu/get", body, seconds=seconds)

    def token(self, room: str, identity: str, *options: str) -> str:
        """Signed by `callbridge token create`."""
        return self.command(
            "token", "create", "--config", str(self.configuration_file), "--room", room, "--identity", identity,
            *options).strip()

    def rows(self, query: str) -> list[tuple]:
        """What the database holds, read while the server runs or after it died."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()
