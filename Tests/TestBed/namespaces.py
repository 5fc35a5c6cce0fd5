# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Networks of network namespaces: hosts that reach one hub and nothing else. Needs root."""

import ctypes
import os
import subprocess
import threading
import uuid
from collections.abc import Callable


class NamespacesImpossible(Exception):
    """Why there can be no network namespaces here."""


def ip(*arguments: str) -> None:
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise NamespacesImpossible(f"ip {' '.join(arguments)}: {result.stderr.strip()}")


class Star:
    """A hub at 10.98.0.1 that forwards nothing, and hosts NUMBER at 10.98.NUMBER.2 and fd98:NUMBER::2.

    The hub is 10.98.NUMBER.1 and fd98:NUMBER::1 to each; every host's default route leads to it.
    """

    HUB = "10.98.0.1"

    def __init__(self, hosts: dict[str, int]):
        self.hosts = hosts
        self.tag = uuid.uuid4().hex[:6]

    def name(self, host: str) -> str:
        return f"cb-{self.tag}-{host}"

    def prefix(self, host: str) -> list[str]:
        """What starts a program on the host."""
        return ["ip", "netns", "exec", self.name(host)]

    def inside(self, host: str, work: Callable[[], None]) -> None:
        """Runs work in a thread that lives on the host, as do the processes it starts."""
        failures: list[BaseException] = []

        def run() -> None:
            try:
                with open(f"/run/netns/{self.name(host)}", "rb") as namespace:
                    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
                        raise NamespacesImpossible(f"setns: {os.strerror(ctypes.get_errno())}")
                work()
            except BaseException as failure:  # the test raises it
                failures.append(failure)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if failures:
            raise failures[0]

    def __enter__(self) -> "Star":
        if os.getuid() != 0:
            raise NamespacesImpossible("this is not root")
        try:
            for host in ("hub", *self.hosts):
                ip("netns", "add", self.name(host))
                ip("-n", self.name(host), "link", "set", "lo", "up")
            hub = self.name("hub")
            ip("-n", hub, "addr", "add", f"{self.HUB}/32", "dev", "lo")
            for host, number in self.hosts.items():
                inside, outside, there = f"v{number}a{self.tag}", f"v{number}b{self.tag}", self.name(host)
                ip("link", "add", inside, "netns", there, "type", "veth", "peer", "name", outside, "netns", hub)
                for namespace, device, last in ((there, inside, 2), (hub, outside, 1)):
                    ip("-n", namespace, "addr", "add", f"10.98.{number}.{last}/24", "dev", device)
                    ip("-n", namespace, "-6", "addr", "add", f"fd98:{number}::{last}/64", "dev", device, "nodad")
                    ip("-n", namespace, "link", "set", device, "up")
                ip("-n", there, "route", "add", "default", "via", f"10.98.{number}.1")
        except Exception:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for host in ("hub", *self.hosts):
            subprocess.run(["ip", "netns", "del", self.name(host)], capture_output=True, check=False)
