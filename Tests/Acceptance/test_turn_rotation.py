# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Rotation of TURN secrets with a real coturn on each store: nobody notices, and nothing is lost at any death."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import log_directory

from TestBed.callbridge import Callbridge, run_callbridge
from TestBed.coturn import REALM, STORES, SQLiteStore
from TestBed.matrix import http
from TestBed.processes import wait_until
from TestBed.turn_client import TURNRefused
from TestBed.turn_site import OVERLAP, TTL, Site


@pytest.mark.limit(300)
@pytest.mark.parametrize("kind", STORES)
def test_rotation_while_everybody_calls(new_turn_site: Callable[..., Site], kind: str) -> None:
    """50 live allocations and a new one every 100 ms: none fails while the secret is replaced."""
    site = new_turn_site(kind)
    old = site.current
    credentials = site.credentials()
    live = [site.allocate(credentials) for _ in range(50)]
    failures: list[str] = []
    done = threading.Event()
    count = 0
    token = site.callbridge.token("any", "an app")

    def allocate_on_and_on() -> None:
        nonlocal count
        while not done.wait(0.1):
            try:
                server = http("GET", site.callbridge.url + "/turn/credentials", token=token).json["iceServers"][0]
                site.allocate((server["username"], server["credential"])).close()
                count += 1
            except Exception as error:  # whatever it is, the test is told
                failures.append(f"{time.time():.1f} {error!r}")

    def refresh_on_and_on() -> None:
        while not done.wait(2):
            for number, client in enumerate(live):
                try:
                    client.refresh()
                except TURNRefused as error:
                    failures.append(f"live allocation {number}: {error}")
    threads = [threading.Thread(target=work) for work in (allocate_on_and_on, refresh_on_and_on)]
    for thread in threads:
        thread.start()
    try:
        rotated = site.command("turn", "rotate")
        assert rotated.returncode == 0, rotated.stderr
        new = site.current
        assert new != old and {old, new} <= site.store.secrets()
        wait_until(lambda: old not in site.store.secrets(), TTL + OVERLAP + 60, "the old secret is removed")
        # First the store, then our own record of it.
        wait_until(lambda: site.phases() == ["current"], 30, "the rotation is done")
        assert new in site.store.secrets()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not failures, failures
    assert count >= 20
    with pytest.raises(TURNRefused, match="401"):
        site.allocate(credentials)
    for client in live:
        client.refresh()
        client.close()
    log = site.callbridge.process.log_text() + rotated.stdout + rotated.stderr
    assert old not in log and new not in log
    assert oct(site.state_file.stat().st_mode & 0o777) == "0o600"


def test_revoked_secret_goes_at_once(new_turn_site: Callable[..., Site]) -> None:
    site = new_turn_site()
    old = site.current
    assert site.command("turn", "rotate", "--revoke", "--realm", REALM).returncode == 0
    wait_until(lambda: old not in site.store.secrets(), 30, "the revoked secret is removed")
    site.assert_usable()
    unknown = site.command("turn", "rotate", "--realm", "nowhere")
    assert unknown.returncode == 64 and "no such realm" in unknown.stderr


@pytest.mark.limit(240)
def test_death_at_each_step(new_turn_site: Callable[..., Site]) -> None:
    """kill -9 before and after each write; who starts next completes the rotation."""
    site = new_turn_site()
    assert isinstance(site.store, SQLiteStore)
    first = site.current

    # Written down, not in the store yet.
    lock = site.store.locked()
    rotate = subprocess.Popen(
        [*site.callbridge.process.command[:1], "turn", "rotate", "--config", str(site.callbridge.configuration_file)],
        cwd=site.callbridge.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: "adding" in site.phases(), 30, "the new secret is written down")
    rotate.kill()
    rotate.wait()
    site.callbridge.kill()
    lock.close()
    assert site.current == first and site.store.secrets() == {first}
    site.callbridge.start()
    wait_until(lambda: site.current not in (first, None), 60, "the rotation is completed after death before the store")
    second = site.current
    site.assert_usable()

    # In the store, not in use: the proof waits for a server that says nothing.
    wait_until(lambda: site.phases() == ["current"], 60, "the first secret is removed")
    site.coturn.process.child.send_signal(19)  # SIGSTOP
    rotate = subprocess.Popen(
        [*site.callbridge.process.command[:1], "turn", "rotate", "--config", str(site.callbridge.configuration_file)],
        cwd=site.callbridge.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(site.store.secrets()) == 2, 30, "the new secret is in the store")
    rotate.kill()
    rotate.wait()
    site.callbridge.kill()
    site.coturn.process.child.send_signal(18)  # SIGCONT
    assert second in site.store.secrets()
    site.callbridge.start()
    wait_until(lambda: site.current not in (second, None), 60, "the rotation is completed after death in the store")
    third = site.current
    site.assert_usable()

    # In use, the one before still in the store.
    site.callbridge.kill()
    assert {second, third} <= site.store.secrets()
    site.callbridge.start()
    wait_until(lambda: second not in site.store.secrets(), 60, "the old secret is removed by the next process")
    site.assert_usable()

    # To be removed, and the store is locked.
    assert site.command("turn", "rotate").returncode == 0
    fourth = site.current
    lock = site.store.locked()
    wait_until(lambda: "store cannot be used" in site.callbridge.process.log_text(), 60, "the removal fails")
    site.callbridge.kill()
    lock.close()
    assert {third, fourth} <= site.store.secrets()
    site.callbridge.start()
    wait_until(lambda: site.store.secrets() == {fourth} and site.phases() == ["current"], 60, "the removal is done")
    site.assert_usable()


@pytest.mark.limit(180)
@pytest.mark.parametrize("kind", ["postgresql", "redis"])
def test_database_down_in_mid_rotation(new_turn_site: Callable[..., Site], kind: str) -> None:
    site = new_turn_site(kind)
    old = site.current
    site.store.stop()
    failed = site.command("turn", "rotate")
    assert failed.returncode == 1 and "unreachable" in failed.stderr and "fix" not in failed.stdout
    assert "error: " in failed.stderr.splitlines()[-1] and "no-word" not in failed.stderr
    status = site.command("turn", "status")
    assert status.returncode == 1 and "FAIL" in status.stdout and old not in status.stdout
    assert site.current == old and "adding" in site.phases()
    site.store.start()
    wait_until(lambda: site.current != old, 120, "the rotation goes on when the database is back")
    assert {old, site.current} <= site.store.secrets()
    wait_until(lambda: works(site), 60, "coturn has its database back")


def works(site: Site) -> bool:
    try:
        site.assert_usable()
        return True
    except TURNRefused:
        return False


def test_a_server_that_reads_another_store_is_noticed(new_turn_site: Callable[..., Site]) -> None:
    """The static secret of coturn is ours, so the old one works there; the new one, in a store it does not read, not."""
    site = new_turn_site()
    old = site.current
    site.coturn.stop()
    # The same place, another database.
    other = SQLiteStore(site.coturn.directory / "other")
    other.start()
    command = site.coturn.process.command
    command[command.index("--userdb") + 1] = str(other.path)
    command.append(f"--static-auth-secret={old}")
    site.coturn.start()
    refused = site.command("turn", "rotate")
    assert refused.returncode == 1 and "refuses the new secret" in refused.stderr, refused.stderr
    assert site.current == old
    site.allocate().close()
    abandoned = site.command("turn", "rotate", "--abandon")
    assert abandoned.returncode == 0, abandoned.stderr
    wait_until(lambda: site.phases() == ["current"], 30, "the new secret is given up")
    assert site.current == old and site.store.secrets() == {old}


@pytest.mark.parametrize("url", ["postgresql://u:the-word@127.0.0.1:{}/d", "redis://:the-word@127.0.0.1:{}/1"])
def test_a_database_that_says_nothing(request: pytest.FixtureRequest, url: str) -> None:
    """It takes connections and never answers: every command ends, says so, and shows no password."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        directory = log_directory(request.module.__name__, request.node.name)
        callbridge = Callbridge(directory, settings={"turn": {"realms": [
            {"realm": REALM, "store": url.format(silent.getsockname()[1])}]}})
        for words in (["turn", "rotate"], ["turn", "status"]):
            result = run_callbridge(*words, "--config", str(callbridge.configuration_file), directory=directory)
            assert result.returncode == 1 and "no answer" in result.stderr.splitlines()[-1], result.stderr
            assert "the-word" not in result.stdout + result.stderr


def test_clocks_that_differ(new_turn_site: Callable[..., Site]) -> None:
    """coturn's clock is a day ahead: our credentials are over before they begin. That is said, and nothing is lost."""
    site = new_turn_site()
    old = site.current
    site.coturn.stop()
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    site.coturn.process.environment = {**os.environ, "LD_PRELOAD": str(library), "FAKETIME": "+1d"}
    site.coturn.start()
    test = site.command("turn", "test")
    assert test.returncode == 1 and "clocks that differ" in test.stdout, test.stdout
    # A server that refuses the old secret as well says nothing against the new one.
    rotated = site.command("turn", "rotate")
    assert rotated.returncode == 0, rotated.stderr
    assert {old, site.current} <= site.store.secrets()
    site.coturn.stop()
    site.coturn.process.environment = None
    site.coturn.start()
    site.assert_usable()


def test_a_stop_does_not_wait_for_dead_servers(new_turn_site: Callable[..., Site]) -> None:
    site = new_turn_site("redis")
    site.coturn.process.child.send_signal(19)  # SIGSTOP
    site.store.process.child.send_signal(19)
    try:
        rotate = subprocess.Popen(
            [*site.callbridge.process.command[:1], "turn", "rotate", "--config",
             str(site.callbridge.configuration_file)],
            cwd=site.callbridge.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: "adding" in site.phases(), 30, "a rotation is under way")
        rotate.kill()
        rotate.wait()
        wait_until(lambda: "store cannot be used" in site.callbridge.process.log_text(), 60, "serve waits for Redis")
        assert site.callbridge.process.stop(seconds=10) == 0
    finally:
        site.store.process.child.send_signal(18)
        site.coturn.process.child.send_signal(18)
