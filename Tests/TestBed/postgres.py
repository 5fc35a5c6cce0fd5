# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""A PostgreSQL cluster on loopback for one homeserver."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from .places import existing, free_tcp_port
from .processes import ServerProcess

PROGRAMS = Path("/usr/lib/postgresql/15/bin")


class PostgreSQL:
    """Everybody on this machine may connect as the user postgres. Its files are gone when it stops."""

    def __init__(self) -> None:
        self.port = free_tcp_port()
        # PostgreSQL does not run as root, and its account cannot look into the folders of the tests.
        self.directory = Path(tempfile.mkdtemp(prefix="callbridge-postgres-"))
        self.account: list[str] = []
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.directory, account.pw_uid, account.pw_gid)
            self.account = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups", "--"]
        self.process = ServerProcess(
            "PostgreSQL",
            [*self.account, str(existing(PROGRAMS / "postgres", "PostgreSQL 15")), "-D", str(self.directory / "data"),
             "-c", "listen_addresses=127.0.0.1", "-c", f"port={self.port}", "-c", "unix_socket_directories=",
             "-c", "fsync=off"],
            self.directory / "postgres.log", directory=self.directory)

    def start(self, database: str) -> dict:
        """Makes a database as Synapse wants it; returns the key `database` of homeserver.yaml."""
        self.run("initdb", "-D", str(self.directory / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8",
                 "--locale=C", "--no-sync")
        self.process.start()
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        self.process.wait_until_ready(
            lambda: subprocess.run([str(PROGRAMS / "pg_isready"), *address], capture_output=True,
                                   check=False).returncode == 0, 30)
        self.run("createdb", *address, "--template=template0", "--lc-collate=C", "--lc-ctype=C", database)
        return {"name": "psycopg2", "args": {
            "user": "postgres", "host": "127.0.0.1", "port": self.port, "dbname": database, "cp_min": 2, "cp_max": 5}}

    def run(self, program: str, *arguments: str) -> None:
        subprocess.run([*self.account, str(PROGRAMS / program), *arguments], check=True, capture_output=True,
                       cwd=self.directory)

    def stop(self) -> None:
        self.process.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
