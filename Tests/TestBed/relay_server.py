# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""coturn as a test call needs it: a shared secret, UDP and TCP on one port."""

import shutil
import socket
from pathlib import Path

from .places import NotInstalled, free_tcp_port
from .processes import ServerProcess


class RelayServer:
    """One coturn process. `launcher` starts it in another network, where `host` is an address."""

    def __init__(self, directory: Path, secret: str, host: str = "127.0.0.1", launcher: tuple[str, ...] = (),
                 relays_to_loopback: bool = True):
        program = shutil.which("turnserver") or shutil.which("turnserver", path="/usr/bin:/usr/sbin")
        if program is None:
            raise NotInstalled("coturn", "turnserver")
        directory.mkdir(parents=True, exist_ok=True)
        self.host = host
        self.secret = secret
        self.port = free_tcp_port()
        self.process = ServerProcess("coturn", [
            *launcher, program, "-n", f"--listening-ip={host}", f"--relay-ip={host}", f"--listening-port={self.port}",
            "--realm=callbridge.test", "--use-auth-secret", f"--static-auth-secret={secret}", "--fingerprint",
            "--no-cli", "--no-tls", "--no-dtls", "--no-multicast-peers", "--min-port=49160",
            "--max-port=49400", f"--userdb={directory / 'turndb'}", f"--pidfile={directory / 'turnserver.pid'}",
            "--log-file=stdout", "--simple-log", *(["--allow-loopback-peers"] if relays_to_loopback else [])],
            directory / "turnserver.log", directory=directory)

    def start(self) -> None:
        self.process.start()
        self.process.wait_until_ready(self.answers, 20)

    def stop(self) -> None:
        self.process.stop()

    def answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=1):
                return True
        except OSError:
            return False

    def entries(self, *protocols: str, secret: str | None = None) -> list[dict]:
        """What stands in `rtc.turn_servers`."""
        return [{"host": self.host, "port": self.port, "protocol": protocol, "secret": secret or self.secret}
                for protocol in protocols or ("udp", "tcp")]
