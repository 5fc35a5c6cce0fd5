# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Janus with its VideoRoom plugin, as Debian packages it: another SFU to compare with."""

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

from .places import NotInstalled, free_tcp_port
from .processes import ServerProcess

PLUGIN = "libjanus_videoroom.so"
TRANSPORT = "libjanus_websockets.so"
LIBRARIES = Path("/usr/lib")
# Debian's packages, each with a program of it; `ip` tells which address Janus may offer.
PACKAGES = {"janus": "janus", "iproute2": "ip"}


class CannotInstall(Exception):
    """Debian's packages are not there and cannot be fetched here."""

    def __init__(self, why: object):
        names = " ".join(PACKAGES)
        super().__init__(f"Debian's packages {names} cannot be installed — {why} — as root, "
                         f"apt-get install --no-install-recommends {names}")


def is_installed() -> bool:
    return all(shutil.which(program) for program in PACKAGES.values())


def install() -> None:
    """Debian's packages, without the service that Janus's brings along."""
    rights = [] if os.getuid() == 0 else ["sudo", "-n"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES]):
        try:
            result = subprocess.run(
                [*rights, *command[:1], "-o", "DPkg::Lock::Timeout=300", *command[1:]], env=environment,
                capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=600)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CannotInstall(error) from None
    if result.returncode != 0 or not is_installed():
        raise CannotInstall((result.stderr.strip().splitlines() or ["apt-get"])[-1])
    if Path("/run/systemd/system").exists():
        subprocess.run([*rights, "systemctl", "disable", "--now", "janus"], check=False, capture_output=True)


def host_address() -> str:
    """An IPv4 address of this machine that is not loopback's: Janus leaves loopback out of its candidates.

    Packets between a machine's own addresses take the way of loopback all the same.
    """
    interfaces = json.loads(subprocess.run(
        ["ip", "-json", "-4", "address", "show", "up"], capture_output=True, text=True, check=True).stdout)
    for interface in interfaces:
        for address in interface.get("addr_info", []):
            if address.get("scope") == "global" and "LOOPBACK" not in interface["flags"]:
                return address["local"]
    raise OSError("this machine has no address but loopback's, and Janus offers no other")


def library_folder(name: str) -> Path:
    """Where Debian keeps a plugin, whatever the architecture."""
    for folder in LIBRARIES.glob("*/janus/*"):
        if (folder / name).exists():
            return folder
    raise NotInstalled(f"Janus's {name}", LIBRARIES)


class Janus:
    """One server on loopback for signalling; `launcher` is what the command line begins with."""

    def __init__(self, directory: Path, launcher: tuple[str, ...] = ()):
        self.directory = directory
        self.port = free_tcp_port()
        directory.mkdir(parents=True, exist_ok=True)
        self.write_configuration()
        self.process = ServerProcess(
            "Janus", [*launcher, "janus", f"--configs-folder={directory}", f"--config={directory / 'janus.jcfg'}"],
            directory / "janus.log", directory=directory)

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def write_configuration(self) -> None:
        """One plugin and one transport; all that decides what a packet costs stays as it is without a configuration."""
        plugins, transports = library_folder(PLUGIN), library_folder(TRANSPORT)

        def others(folder: Path, one: str) -> str:
            return ",".join(sorted(path.name for path in folder.glob("*.so") if path.name != one))

        files = {
            "janus.jcfg": f"""
                general: {{
                    configs_folder = "{self.directory}"
                    plugins_folder = "{plugins}"
                    transports_folder = "{transports}"
                    debug_level = 2
                    debug_timestamps = true
                }}
                nat: {{
                    # The tester is a controlling agent without candidates of its own: it finds the server.
                    ice_lite = true
                    ice_enforce_list = "{host_address()}"
                }}
                plugins: {{ disable = "{others(plugins, PLUGIN)}" }}
                transports: {{ disable = "{others(transports, TRANSPORT)}" }}
            """,
            "janus.transport.websockets.jcfg": f"""
                general: {{
                    json = "compact"
                    ws = true
                    ws_ip = "127.0.0.1"
                    ws_port = {self.port}
                    wss = false
                }}
                admin: {{ admin_ws = false }}
            """,
            "janus.plugin.videoroom.jcfg": "general: { }\n",
        }
        for name, text in files.items():
            (self.directory / name).write_text(text)

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    def start(self) -> None:
        self.process.start()
        self.process.wait_until_ready(self.answers, 30)

    def stop(self) -> None:
        self.process.stop()
