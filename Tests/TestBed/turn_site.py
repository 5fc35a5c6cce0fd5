# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Callbridge that rotates the secrets of a coturn, and what a test asks of both."""

import shutil
import sqlite3
import subprocess
from pathlib import Path

from .callbridge import Callbridge, run_callbridge
from .coturn import REALM, STORES, Coturn, PostgreSQLStore, Store
from .matrix import http
from .processes import wait_until
from .turn_client import TURNClient, TURNRefused

# Seconds. As short as the checks allow, because a rotation lasts as long as both together.
TTL, OVERLAP = 6, 5


class Site:
    """A store, a coturn that reads it, and Callbridge that rotates it."""

    def __init__(self, directory: Path, kind: str, options: list[str] | None = None):
        self.store: Store = STORES[kind](directory / "store")
        if kind == "redis":
            (directory / "store").mkdir(parents=True, exist_ok=True)
        self.coturn = Coturn(directory / "coturn", self.store, options=options)
        self.callbridge = Callbridge(directory / "callbridge", settings={
            "rtc": {"turn_servers": [
                {"host": "127.0.0.1", "port": self.coturn.port, "protocol": protocol, "realm": REALM, "ttl": f"{TTL}s"}
                for protocol in ("udp", "tcp")]},
            "turn": {"realms": [
                {"realm": REALM, "store": self.store.url, "rotate_every": 0, "overlap": f"{OVERLAP}s"}]},
        })
        self.state_file = directory / "callbridge" / "data" / "turn.db"

    def start(self) -> None:
        self.store.start()
        self.coturn.start()
        self.callbridge.start()
        wait_until(lambda: self.current, 30, "there is a first secret")

    def stop(self) -> None:
        self.callbridge.stop()
        self.coturn.stop()
        self.store.stop()
        if isinstance(self.store, PostgreSQLStore):
            shutil.rmtree(self.store.directory)

    @property
    def state(self) -> list[tuple[str, str]]:
        """Secret and phase, oldest first."""
        if not self.state_file.exists():
            return []
        connection = sqlite3.connect(f"file:{self.state_file}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute("SELECT secret, phase FROM turn_secrets ORDER BY sequence").fetchall()
        except sqlite3.OperationalError:
            return []
        finally:
            connection.close()

    @property
    def current(self) -> str | None:
        return next((secret for secret, phase in self.state if phase == "current"), None)

    def phases(self) -> list[str]:
        return [phase for _, phase in self.state]

    def credentials(self) -> tuple[str, str]:
        token = self.callbridge.token("any", "an app")
        answer = http("GET", self.callbridge.url + "/turn/credentials", token=token)
        assert answer.status == 200, answer
        server = answer.json["iceServers"][0]
        return server["username"], server["credential"]

    def allocate(self, credentials: tuple[str, str] | None = None) -> TURNClient:
        """RFC 8656 §7.4: with 437 a client takes another port, because the server still knows the former user of this."""
        credentials = credentials or self.credentials()
        for attempt in range(3):
            client = TURNClient(("127.0.0.1", self.coturn.port), *credentials)
            try:
                client.allocate()
                break
            except TURNRefused as refused:
                client.socket.close()
                if refused.code != 437 or attempt == 2:
                    raise
        return client

    def command(self, *words: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        return run_callbridge(*words, "--config", str(self.callbridge.configuration_file), seconds=seconds,
                              directory=self.callbridge.directory)

    def assert_usable(self) -> None:
        """The secret in use is in the store, and a credential made with it is taken."""
        assert self.current in self.store.secrets()
        self.allocate().close()
