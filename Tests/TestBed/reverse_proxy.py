# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""nginx in front of Callbridge, below a path."""

import shutil
import socket
from pathlib import Path

from .places import NotInstalled, free_tcp_port
from .processes import ServerProcess

CONFIGURATION = """
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    map $http_upgrade $connection_field {{ default upgrade; "" ""; }}
    server {{
        listen 127.0.0.1:{port};
        large_client_header_buffers 4 128k;
        location {prefix}/ {{
            proxy_pass {target};
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            {upgrade}
        }}
    }}
}}
"""
UPGRADE = "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_field;"


class ReverseProxy:
    """One nginx; it ends with the block.

    `strips` takes the prefix away before Callbridge sees the path. `passes_upgrades` is what many configurations lack.
    """

    def __init__(self, directory: Path, target_port: int, prefix: str, strips: bool, passes_upgrades: bool = True,
                 port: int | None = None):
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if program is None:
            raise NotInstalled("nginx", "nginx")
        directory.mkdir(parents=True, exist_ok=True)
        # Its workers run as another user when it is started by root.
        directory.chmod(0o755)
        self.port = port or free_tcp_port()
        self.prefix = prefix
        self.url = f"http://127.0.0.1:{self.port}{prefix}"
        file = directory / "nginx.conf"
        file.write_text(CONFIGURATION.format(
            directory=directory, port=self.port, prefix=prefix, upgrade=UPGRADE if passes_upgrades else "",
            target=f"http://127.0.0.1:{target_port}" + ("/" if strips else "")))
        self.process = ServerProcess(
            "nginx", [program, "-p", str(directory), "-c", str(file)], directory / "nginx.log", directory=directory)

    def __enter__(self) -> "ReverseProxy":
        self.process.start()
        self.process.wait_until_ready(self.answers, 20)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False
