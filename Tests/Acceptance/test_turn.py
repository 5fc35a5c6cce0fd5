# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""TURN with a real coturn: credentials, rotation on each store, death at each step, databases that fail, impostors."""

import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import log_directory
from playwright.sync_api import Page, sync_playwright

from TestBed.bed import MatrixBed
from TestBed.callbridge import Callbridge, run_callbridge
from TestBed.coturn import REALM, STORES, Coturn, SQLiteStore, Store, program
from TestBed.matrix import http
from TestBed.places import chromium_program, free_tcp_port
from TestBed.processes import wait_until
from TestBed.turn_client import TURNClient, TURNRefused

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
        client = TURNClient(("127.0.0.1", self.coturn.port), *(credentials or self.credentials()))
        try:
            client.allocate()
        except TURNRefused:
            client.socket.close()
            raise
        return client

    def command(self, *words: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        return run_callbridge(*words, "--config", str(self.callbridge.configuration_file), seconds=seconds,
                              directory=self.callbridge.directory)

    def assert_usable(self) -> None:
        """The secret in use is in the store, and a credential made with it is taken."""
        assert self.current in self.store.secrets()
        self.allocate().close()


@pytest.fixture
def new_site(request: pytest.FixtureRequest) -> Iterator[Callable[..., Site]]:
    sites: list[Site] = []

    def make(kind: str = "sqlite", options: list[str] | None = None) -> Site:
        site = Site(log_directory(request.module.__name__, request.node.name), kind, options)
        sites.append(site)
        site.start()
        return site
    yield make
    for site in sites:
        site.stop()


def test_uclient_allocates_and_is_refused_after_expiry(new_site: Callable[..., Site]) -> None:
    site = new_site(options=["--allow-loopback-peers"])

    def uclient(username: str, password: str) -> str:
        return subprocess.run(
            [program("turnutils_uclient"), "-y", "-c", "-n", "2", "-m", "1", "-u", username, "-w", password, "-p",
             str(site.coturn.port), "-L", "127.0.0.1", "127.0.0.1"],
            capture_output=True, text=True, timeout=60, check=False).stdout
    username, password = site.credentials()
    assert "tot_send_msgs=" in uclient(username, password)
    expiry = int(username.split(":")[0])
    wait_until(lambda: time.time() > expiry + 1, TTL + 5, "the credential expires")
    late = uclient(username, password)
    assert "Cannot complete Allocation" in late and "tot_send_msgs=" not in late, late
    with pytest.raises(TURNRefused, match="401"):
        site.allocate((username, password))


@pytest.mark.limit(300)
@pytest.mark.parametrize("kind", STORES)
def test_rotation_while_everybody_calls(new_site: Callable[..., Site], kind: str) -> None:
    """50 live allocations and a new one every 100 ms: none fails while the secret is replaced."""
    site = new_site(kind)
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
        assert new in site.store.secrets() and site.phases() == ["current"]
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


def test_revoked_secret_goes_at_once(new_site: Callable[..., Site]) -> None:
    site = new_site()
    old = site.current
    assert site.command("turn", "rotate", "--revoke", "--realm", REALM).returncode == 0
    wait_until(lambda: old not in site.store.secrets(), 30, "the revoked secret is removed")
    site.assert_usable()
    unknown = site.command("turn", "rotate", "--realm", "nowhere")
    assert unknown.returncode == 64 and "no such realm" in unknown.stderr


@pytest.mark.limit(240)
def test_death_at_each_step(new_site: Callable[..., Site]) -> None:
    """kill -9 before and after each write; who starts next completes the rotation."""
    site = new_site()
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
def test_database_down_in_mid_rotation(new_site: Callable[..., Site], kind: str) -> None:
    site = new_site(kind)
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


def test_a_server_that_reads_another_store_is_noticed(new_site: Callable[..., Site]) -> None:
    """The static secret of coturn is ours, so the old one works there; the new one, in a store it does not read, not."""
    site = new_site()
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


def test_status_and_test_say_what_is(new_site: Callable[..., Site]) -> None:
    site = new_site(options=["--allow-loopback-peers"])
    secret = site.current
    status = site.command("turn", "status")
    assert status.returncode == 0, status.stdout + status.stderr
    assert "in use" in status.stdout and "data relayed both ways" in status.stdout
    test = site.command("turn", "test")
    assert test.returncode == 0 and test.stdout.count("data relayed both ways") == 2, test.stdout
    as_json = site.command("turn", "status", "--json")
    assert '"phase":"current"' in as_json.stdout
    site.coturn.stop()
    broken = site.command("turn", "test")
    assert broken.returncode == 1 and broken.stdout.count("FAIL") == 2, broken.stdout
    assert all(secret not in text for text in (status.stdout, as_json.stdout, broken.stdout, broken.stderr))


def test_a_stop_does_not_wait_for_dead_servers(new_site: Callable[..., Site]) -> None:
    site = new_site("redis")
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


def test_tls_and_metrics(new_site: Callable[..., Site], tmp_path: Path) -> None:
    """Over TLS with a certificate of an authority that the system is told to trust, and without that trust."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out",
         str(certificate), "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        capture_output=True, check=True)
    tls_port = free_tcp_port()
    site = new_site(options=["--allow-loopback-peers", f"--tls-listening-port={tls_port}", f"--cert={certificate}",
                             f"--pkey={key}"])
    metrics_port = free_tcp_port()
    site.callbridge.stop()
    server = {"host": "localhost", "port": tls_port, "protocol": "tls", "realm": REALM}
    site.callbridge.settings["rtc"]["turn_servers"] = [server]
    site.callbridge.settings["prometheus"] = {"port": metrics_port}
    site.callbridge.write_configuration()
    untrusted = site.command("turn", "test")
    assert untrusted.returncode == 1 and "the certificate is not accepted" in untrusted.stdout, untrusted.stdout
    trust = {"SSL_CERT_FILE": str(certificate)}
    trusted = run_callbridge("turn", "test", "--config", str(site.callbridge.configuration_file), environment=trust,
                             directory=site.callbridge.directory)
    assert trusted.returncode == 0 and "data relayed both ways" in trusted.stdout, trusted.stdout
    site.callbridge.process.environment = {**site.callbridge.process.environment, **trust}
    site.callbridge.start()

    def reachable() -> bool:
        page = http("GET", f"http://127.0.0.1:{metrics_port}/metrics").text
        uri = f'uri="turns:localhost:{tls_port}?transport=tcp"'
        return (f"callbridge_turn_relay_reachable{{{uri}}} 1.0" in page
                and f"callbridge_turn_allocate_seconds{{{uri}}} 0." in page)
    wait_until(reachable, 30, "the metrics say that the relay is reachable")


def test_chromium_gets_a_relay_until_the_credential_expires(new_site: Callable[..., Site]) -> None:
    site = new_site()
    username, password = site.credentials()

    def relays(page: Page) -> list[str]:
        return page.evaluate(
            """async ([url, username, credential]) => {
                const peer = new RTCPeerConnection(
                    {iceServers: [{urls: [url], username, credential}], iceTransportPolicy: "relay"});
                peer.createDataChannel("any");
                const found = [];
                const end = new Promise(resolve => {
                    peer.onicecandidate = ({candidate}) => candidate && candidate.candidate
                        ? found.push(candidate.type) : resolve();
                });
                await peer.setLocalDescription();
                await Promise.race([end, new Promise(resolve => setTimeout(resolve, 15000))]);
                peer.close();
                return found;
            }""", [f"turn:127.0.0.1:{site.coturn.port}?transport=udp", username, password])
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=str(chromium_program()), headless=True, args=[
                "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--allow-loopback-in-peer-connection",
                "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"])
        page = browser.new_page()
        expiry = int(username.split(":")[0])
        if time.time() > expiry - 3:
            username, password = site.credentials()
            expiry = int(username.split(":")[0])
        assert "relay" in relays(page)
        wait_until(lambda: time.time() > expiry + 1, TTL + 5, "the credential expires")
        assert relays(page) == []
        browser.close()


def test_users_of_the_homeserver_get_credentials(request: pytest.FixtureRequest) -> None:
    """`voip/turnServer`: who has an access token of Synapse gets what coturn takes."""
    directory = log_directory(request.module.__name__, request.node.name)
    store = SQLiteStore(directory / "store")
    store.start()
    secret = "a static secret of coturn, long enough"
    coturn = Coturn(directory / "coturn", store, options=[f"--static-auth-secret={secret}"])
    bed = MatrixBed(directory, settings={"rtc": {"turn_servers": [
        {"host": "127.0.0.1", "port": coturn.port, "protocol": "udp", "secret": secret, "ttl": "10m"}]}})
    try:
        coturn.start()
        bed.start()
        alice, path = bed.user("alice"), "/_matrix/client/v3/voip/turnServer"
        answer = http("GET", bed.callbridge.url + path, token=alice.token)
        assert answer.status == 200 and answer.headers["access-control-allow-origin"] == "*"
        assert set(answer.json) == {"username", "password", "uris", "ttl"} and 590 <= answer.json["ttl"] <= 600
        assert answer.json["uris"] == [f"turn:127.0.0.1:{coturn.port}?transport=udp"]
        assert alice.user_id not in answer.text
        client = TURNClient(("127.0.0.1", coturn.port), answer.json["username"], answer.json["password"])
        client.allocate()
        client.close()
        refused = http("GET", bed.callbridge.url + path, token="syt_of_nobody")
        assert (refused.status, refused.errcode) == (401, "M_UNKNOWN_TOKEN")
        assert refused.headers["access-control-allow-origin"] == "*"
        missing = http("GET", bed.callbridge.url + path)
        assert (missing.status, missing.errcode) == (401, "M_MISSING_TOKEN")
        status = run_callbridge("turn", "status", "--config", str(bed.callbridge.configuration_file),
                                directory=bed.callbridge.directory)
        assert "not replaced by Callbridge" in status.stdout and secret not in status.stdout
    finally:
        bed.stop()
        coturn.stop()


def test_doctor_finds_an_open_relay(new_site: Callable[..., Site]) -> None:
    site = new_site(options=["--allow-loopback-peers"])
    doctor = site.command("doctor", "turn")
    assert doctor.returncode == 1, doctor.stdout
    for range_ in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"):
        assert f"FAIL turn:127.0.0.1:{site.coturn.port}?transport=udp: {range_}" in doctor.stdout
    assert "forbidden relays are allowed" in doctor.stderr


class Impostor:
    """A UDP server in coturn's place."""

    def __init__(self, answer: Callable[[bytes], bytes | None]):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.answer = answer
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        while True:
            try:
                request, sender = self.socket.recvfrom(65536)
                answer = self.answer(request)
                if answer is not None:
                    self.socket.sendto(answer, sender)
            except OSError:
                return


def attribute(kind: int, value: bytes) -> bytes:
    return kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value + bytes(-len(value) % 4)


def message(kind: int, request: bytes, *attributes: bytes) -> bytes:
    body = b"".join(attributes)
    return kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + request[4:20] + body


def challenge(request: bytes) -> bytes:
    return message(0x113, request, attribute(9, b"\0\0\4\1"), attribute(0x14, b"r"), attribute(0x15, b"nonce"))


def claims_success(request: bytes) -> bytes:
    """First the challenge, then a success that only who knows the secret could sign."""
    if b"nonce" not in request:
        return challenge(request)
    relay = attribute(0x16, b"\0\1\xe1\xba\xe7\x20\x90\x47")
    return message(0x103, request, relay, attribute(0x0D, b"\0\0\2\x58"), attribute(8, bytes(20)))


@pytest.mark.parametrize("answer, cause", [
    (lambda request: None, "no answer"),
    (lambda request: b"\xff" * 1400, "prove nothing"),
    (lambda request: request[:19], "prove nothing"),
    (claims_success, "prove nothing"),
    (challenge, "401"),
    (lambda request: message(0x113, request, attribute(9, b"\0\0\4\x26"), attribute(0x14, b"r"),
                             attribute(0x15, b"nonce")), "again and again"),
], ids=["silent", "garbage", "cut", "liar", "refuses", "endless nonces"])
def test_an_impostor_gets_a_clear_word(request: pytest.FixtureRequest, answer: Callable, cause: str) -> None:
    directory = log_directory(request.module.__name__, request.node.name)
    impostor = Impostor(answer)
    callbridge = Callbridge(directory, settings={"rtc": {"turn_servers": [
        {"host": "127.0.0.1", "port": impostor.port, "protocol": "udp", "secret": "a secret of nobody in particular"}]}})
    result = run_callbridge("turn", "test", "--config", str(callbridge.configuration_file), directory=directory)
    assert result.returncode == 1 and "FAIL" in result.stdout and cause in result.stdout, result.stdout
    assert result.stderr.splitlines()[-1].startswith("error: 1 of 1 TURN servers")
    impostor.socket.close()
