# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""A call of clients that reach nothing but coturn, which runs with the configuration of deploy/."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import log_directory

from TestBed.callbridge import Callbridge
from TestBed.chromium_peer import ChromiumPeer
from TestBed.coturn import REALM, Coturn, SQLiteStore, shipped_options
from TestBed.namespaces import NamespacesImpossible, Star
from TestBed.participant import Participant
from TestBed.places import REPOSITORY, callbridge_program
from TestBed.processes import ServerProcess, wait_until
from TestBed.turn_client import TURNClient

SFU = "10.98.9.2"
PORT = 7880


class RelayedSite:
    """alice and bob reach the hub, where coturn and the reverse proxy are; the SFU is behind it."""

    def __init__(self, directory: Path, star: Star):
        self.directory, self.star = directory, star
        self.store = SQLiteStore(directory / "store")
        self.store.start()
        options = shipped_options(directory, cert="", pkey="", **{"allowed-peer-ip": SFU})
        options += ["--relay-ip=10.98.9.1", "--relay-ip=fd98:9::1"]
        self.coturn = Coturn(directory / "coturn", self.store, Star.HUB, options, star.prefix("hub"))
        self.callbridge = Callbridge(directory / "callbridge", port=PORT)
        self.processes: list[ServerProcess] = []

    def start(self, protocol: str) -> None:
        self.callbridge.settings = {
            "bind_addresses": [SFU], "room": {"auto_create": True},
            "rtc": {"node_ip": SFU, "enable_loopback_candidate": False, "turn_servers": [
                {"host": Star.HUB, "port": self.coturn.port, "protocol": protocol, "realm": REALM, "ttl": "1h"}]},
            "turn": {"realms": [{"realm": REALM, "store": self.store.url}]},
        }
        self.callbridge.write_configuration()
        self.callbridge.process.command = [*self.star.prefix("sfu"), *self.callbridge.process.command]
        proxy = ServerProcess(
            "proxy", [*self.star.prefix("hub"), sys.executable,
                      str(REPOSITORY / "Tests" / "TestBed" / "tcp_forwarder.py"), Star.HUB, str(PORT), SFU, str(PORT)],
            self.directory / "proxy.log")
        self.coturn.start()
        for process in (self.callbridge.process, proxy):
            process.start()
            self.processes.append(process)
        wait_until(lambda: "a TURN server relays" in self.callbridge.process.log_text(), 60,
                   f"coturn takes our secret; {self.callbridge.process.log}")

    def stop(self) -> None:
        for process in self.processes:
            process.stop()
        self.coturn.stop()

    def run(self, host: str, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.star.prefix(host), *command], capture_output=True, text=True, timeout=120,
                              check=False, cwd=self.callbridge.directory)

    def reaches(self, host: str, address: str) -> bool:
        """Whether the signalling port answers at an address."""
        code = f"import socket; socket.create_connection(({address!r}, {PORT}), 3)"
        return self.run(host, sys.executable, "-c", code).returncode == 0

    def credentials(self, host: str) -> list[dict]:
        """For an app on the host."""
        token = self.callbridge.token("room", "an app")
        answer = self.run(host, "curl", "-s", "-H", f"Authorization: Bearer {token}",
                          f"http://{Star.HUB}:{PORT}/turn/credentials")
        return json.loads(answer.stdout)["iceServers"]

    def callbridge_on(self, host: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run(host, str(callbridge_program()), *words, "--config",
                        str(self.callbridge.configuration_file))


@pytest.fixture
def relayed_site(request: pytest.FixtureRequest) -> Iterator[RelayedSite]:
    try:
        with Star({"alice": 1, "bob": 2, "sfu": 9}) as star:
            site = RelayedSite(log_directory(request.module.__name__, request.node.name), star)
            yield site
            site.stop()
    except NamespacesImpossible as reason:
        pytest.skip(f"this test needs network namespaces, and so root: {reason}")


@pytest.mark.limit(180)
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_two_clients_behind_coturn_hear_each_other(relayed_site: RelayedSite, protocol: str) -> None:
    relayed_site.start(protocol)
    assert not relayed_site.reaches("alice", SFU) and relayed_site.reaches("alice", Star.HUB)
    url = f"ws://{Star.HUB}:{PORT}"
    people = {}
    try:
        for name in ("alice", "bob"):
            people[name] = Participant(name, relayed_site.directory / f"{name}.log", relayed_site.star.prefix(name))
            people[name].connect(url, relayed_site.callbridge.token("room", name))
            pair = wait_until(lambda: relay_pair(people[name]), 30, f"{name} has chosen a pair")
            assert set(pair) == {"relay"}, pair
        for participant in people.values():
            participant.do("publish_audio")
        people["alice"].wait_for("first_tone", publisher="bob", seconds=40)
        people["bob"].wait_for("first_tone", publisher="alice", seconds=40)
    finally:
        for participant in people.values():
            participant.leave()


@pytest.mark.limit(180)
def test_chromium_behind_coturn(relayed_site: RelayedSite) -> None:
    relayed_site.start("udp")
    callbridge = relayed_site.callbridge
    url = f"ws://{Star.HUB}:{PORT}"
    servers = relayed_site.credentials("alice")
    bob = Participant("bob", relayed_site.directory / "bob.log", relayed_site.star.prefix("bob"))

    def browse() -> None:
        with ChromiumPeer() as browser:
            browser.connect(url, callbridge.token("room", "browser"), ice_servers=servers)
            browser.wait_for_media(
                "bob/audio", lambda media: abs(media["pitch"] - media["wanted"]) < 5 and media["level"] > 0.01, 40)
            assert set(browser.chosen_candidates()) == {"relay"}
            browser.call("close")
    try:
        bob.connect(url, callbridge.token("room", "bob"))
        bob.do("publish_audio")
        relayed_site.star.inside("alice", browse)
    finally:
        bob.leave()


def relay_pair(participant: Participant) -> list[str]:
    found = participant.do("transport")
    return found["local"] if found["ice"] and all(state in ("connected", "completed") for state in found["ice"]) else []


def test_shipped_configuration_refuses_every_forbidden_relay(relayed_site: RelayedSite) -> None:
    relayed_site.start("udp")
    doctor = relayed_site.callbridge_on("alice", "doctor", "turn")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert "FAIL" not in doctor.stdout
    refused = [line for line in doctor.stdout.splitlines() if "403" in line]
    for range_ in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "::1", "fc00::/7"):
        assert any(f"udp: {range_} " in line for line in refused), doctor.stdout
    assert "TCP relaying" in doctor.stdout
    servers = relayed_site.credentials("alice")

    def reach_the_world() -> None:
        for ipv6, peers in ((False, ["1.1.1.1", "172.32.0.1", "100.128.0.1", SFU]), (True, ["2606:4700::1111"])):
            client = TURNClient((Star.HUB, relayed_site.coturn.port), servers[0]["username"], servers[0]["credential"])
            client.allocate(ipv6=ipv6)
            for peer in peers:
                client.permit(peer)
            client.close()
    relayed_site.star.inside("alice", reach_the_world)
    status = relayed_site.callbridge_on("alice", "turn", "status", "--json")
    assert [server["works"] for server in json.loads(status.stdout)["servers"]] == [True]
