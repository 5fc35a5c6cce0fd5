# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""A server's network of its own, joined to this one by a link that may lose all UDP. Needs root."""

import os
import shutil
import subprocess
import uuid


class SplitNetwork:
    """A network namespace; it ends with the block. Servers start there with `launcher` and listen on `server`."""

    def __init__(self) -> None:
        self.name = f"cb{uuid.uuid4().hex[:8]}"
        # Never 0, which IPv6 addresses leave out when they are written.
        number = 1 + os.getpid() % 250
        self.server = f"10.79.{number}.1"
        self.client = f"10.79.{number}.2"
        self.server6 = f"fd79:{number:x}::1"
        self.client6 = f"fd79:{number:x}::2"
        self.launcher = ("ip", "netns", "exec", self.name)

    @staticmethod
    def obstacle() -> str | None:
        """Why there can be none here; None when there can."""
        if os.geteuid() != 0:
            return "network namespaces need root"
        for program in ("ip", "nft"):
            if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
                return f"{program} is not installed"
        name = f"cbprobe{os.getpid()}"
        probe = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
        if probe.returncode == 0:
            subprocess.run(["ip", "netns", "del", name], check=False)
            return None
        return f"network namespaces cannot be made here: {probe.stderr.strip()}"

    def __enter__(self) -> "SplitNetwork":
        self.run("ip", "netns", "add", self.name)
        try:
            outer, inner = f"{self.name}o", f"{self.name}i"
            self.run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", self.name)
            self.run("ip", "addr", "add", f"{self.client}/24", "dev", outer)
            self.run("ip", "addr", "add", f"{self.client6}/64", "dev", outer, "nodad")
            self.run("ip", "link", "set", outer, "up")
            self.inside("ip", "addr", "add", f"{self.server}/24", "dev", inner)
            self.inside("ip", "addr", "add", f"{self.server6}/64", "dev", inner, "nodad")
            self.inside("ip", "link", "set", "lo", "up")
            self.inside("ip", "link", "set", inner, "up")
            self.inside("nft", "add table inet test; "
                        "add chain inet test input { type filter hook input priority 0; }")
            self.link = inner
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=False)

    def block_udp(self) -> None:
        """From now on UDP from this side is lost without a word, as behind a strict firewall."""
        self.inside("nft", f"add rule inet test input iifname {self.link} meta l4proto udp drop")

    def inside(self, *command: str) -> None:
        self.run(*self.launcher, *command)

    @staticmethod
    def run(*command: str) -> None:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {result.stderr.strip()}")
