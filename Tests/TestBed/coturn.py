# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""coturn with its userdb in SQLite, PostgreSQL or Redis."""

import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from pathlib import Path

from .places import REPOSITORY, NotInstalled, existing, free_tcp_port
from .processes import ServerProcess

REALM = "turn.test"
SCHEMA = Path("/usr/share/coturn/schema.sql")
SHIPPED = REPOSITORY / "deploy" / "turnserver.conf"


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise NotInstalled(name, "PATH")
    return found


def listens(port: int, address: str = "127.0.0.1") -> bool:
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


class SQLiteStore:
    def __init__(self, directory: Path):
        self.path = directory / "turndb"

    def start(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(self.path) as connection:
            connection.executescript(existing(SCHEMA, "coturn's schema").read_text())

    def stop(self) -> None:
        pass

    @property
    def url(self) -> str:
        return f"sqlite:{self.path}"

    @property
    def coturn_options(self) -> list[str]:
        return ["--userdb", str(self.path)]

    def secrets(self) -> set[str]:
        connection = sqlite3.connect(self.path, timeout=10)
        try:
            return {value for (value,) in connection.execute("SELECT value FROM turn_secret WHERE realm = ?", [REALM])}
        finally:
            connection.close()

    def locked(self) -> sqlite3.Connection:
        """Close it to unlock."""
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=10)
        connection.execute("BEGIN EXCLUSIVE")
        return connection


class PostgreSQLStore:
    PROGRAMS = Path("/usr/lib/postgresql/15/bin")

    def __init__(self, _: Path):
        # The server's account must be able to reach it.
        self.directory = Path(tempfile.mkdtemp(prefix="callbridge-postgresql-"))
        self.port = free_tcp_port()

    def run(self, name: str, *arguments: str, text: str | None = None) -> str:
        command = [str(existing(self.PROGRAMS / name, "postgresql-15")), *arguments]
        if os.getuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--", *command]
        result = subprocess.run(command, input=text, capture_output=text is not None or name == "psql", text=True,
                                check=False, cwd="/", timeout=60)
        if result.returncode != 0:
            raise RuntimeError(f"{name} ended with {result.returncode}: {result.stderr}")
        return result.stdout or ""

    def start(self) -> None:
        data = self.directory / "data"
        if os.getuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
        if not data.exists():
            self.run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", text="")
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories='' -c fsync=off"
        self.run("pg_ctl", "-D", str(data), "-l", str(self.directory / "log"), "-w", "-s", "-o", options, "start")
        if "turn_secret" not in self.sql("SELECT tablename FROM pg_tables"):
            self.sql(existing(SCHEMA, "coturn's schema").read_text())

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.directory / "data"), "-m", "fast", "-w", "-s", "stop")

    def sql(self, text: str) -> str:
        return self.run("psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port),
                        "-U", "postgres", "postgres", text=text)

    @property
    def url(self) -> str:
        return f"postgresql://postgres:no-word@127.0.0.1:{self.port}/postgres"

    @property
    def coturn_options(self) -> list[str]:
        return ["--psql-userdb",
                f"host=127.0.0.1 port={self.port} dbname=postgres user=postgres connect_timeout=5"]

    def secrets(self) -> set[str]:
        return set(self.sql(f"SELECT value FROM turn_secret WHERE realm = '{REALM}'").split())


class RedisStore:
    PASSWORD = "the-word-of-redis"

    def __init__(self, directory: Path):
        self.directory = directory
        self.port = free_tcp_port()
        self.process = ServerProcess(
            "Redis", [program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--requirepass",
                      self.PASSWORD, "--timeout", "0", "--appendonly", "yes", "--dir", str(directory)],
            directory / "redis.log")

    def start(self) -> None:
        self.process.start()
        self.process.wait_until_ready(lambda: listens(self.port), 20)

    def stop(self) -> None:
        self.process.stop()

    @property
    def url(self) -> str:
        return f"redis://:{self.PASSWORD}@127.0.0.1:{self.port}/2"

    @property
    def coturn_options(self) -> list[str]:
        return ["--redis-userdb", f"ip=127.0.0.1 dbname=2 password={self.PASSWORD} port={self.port} connect_timeout=5"]

    def secrets(self) -> set[str]:
        result = subprocess.run(
            [program("redis-cli"), "-p", str(self.port), "-n", "2", "--no-auth-warning", "-a", self.PASSWORD,
             "SMEMBERS", f"turn/realm/{REALM}/secret"], capture_output=True, text=True, check=True, timeout=10)
        return set(result.stdout.split())


STORES = {"sqlite": SQLiteStore, "postgresql": PostgreSQLStore, "redis": RedisStore}
Store = SQLiteStore | PostgreSQLStore | RedisStore


class Coturn:
    """One server on one address; `prefix` starts it elsewhere, in a network namespace."""

    def __init__(self, directory: Path, store: Store, address: str = "127.0.0.1", options: list[str] | None = None,
                 prefix: list[str] | None = None):
        self.directory, self.store, self.address = directory, store, address
        self.port = free_tcp_port()
        directory.mkdir(parents=True, exist_ok=True)
        options = options or []
        # Debian's own configuration is not to be read.
        command = [*(prefix or []), program("turnserver"), *([] if "-c" in options else ["-n"]), f"--listening-ip={address}",
                   f"--listening-port={self.port}", f"--realm={REALM}", "--use-auth-secret", "--fingerprint", "--no-cli",
                   "--no-dtls", "--no-rfc5780", "--log-file=stdout", "--simple-log", "-v",
                   f"--pidfile={directory / 'turnserver.pid'}", *store.coturn_options, *options]
        self.process = ServerProcess("coturn", command, directory / "coturn.log", directory=directory)

    def start(self) -> None:
        self.process.start()
        self.process.wait_until_ready(self.is_listening, 30)

    def is_listening(self) -> bool:
        """Whether its port is open for TCP, as the kernel says of the namespace it lives in."""
        # ADDRESS:PORT in hexadecimal, then the other end, then the state; 0A is listening.
        lines = Path(f"/proc/{self.process.pid}/net/tcp").read_text().splitlines()[1:]
        return any(line.split()[1].endswith(f":{self.port:04X}") and line.split()[3] == "0A" for line in lines)

    def stop(self) -> None:
        self.process.stop()


def shipped_options(directory: Path, **changes: str) -> list[str]:
    """The configuration of deploy/ in a file of its own, with the places that every installation changes changed."""
    replaced = {"realm": REALM, **changes}
    lines = []
    for line in SHIPPED.read_text().splitlines():
        name = line.split("=", 1)[0]
        if name in ("listening-port", "userdb", "no-stdout-log", "syslog") or name in changes and not changes[name]:
            continue
        lines.append(f"{name}={replaced[name]}" if name in replaced else line)
    extra = [f"{name}={value}" for name, value in changes.items() if value and not any(
        line.startswith(f"{name}=") for line in lines)]
    file = directory / "turnserver.conf"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines + extra) + "\n")
    return ["-c", str(file)]
