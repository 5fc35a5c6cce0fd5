# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""TURN with a real coturn: credentials, tests, the doctor, and impostors in coturn's place."""

import base64
import hashlib
import hmac
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import log_directory
from playwright.sync_api import Page, sync_playwright

from TestBed.bed import MatrixBed
from TestBed.callbridge import Callbridge, run_callbridge
from TestBed.coturn import REALM, Coturn, SQLiteStore, program
from TestBed.matrix import http
from TestBed.places import chromium_program, free_tcp_port
from TestBed.processes import wait_until
from TestBed.turn_client import TURNClient, TURNRefused
from TestBed.turn_site import TTL, Site


def test_uclient_allocates_and_is_refused_after_expiry(new_turn_site: Callable[..., Site]) -> None:
    site = new_turn_site(options=["--allow-loopback-peers"])

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


@pytest.mark.parametrize("user,password,code", [
    ("{expiry}:caller", "not the one", "401"), ("{expiry}:caller' or '1'='1", None, "400"),
])
def test_t2_wrong_and_oddly_quoted_users(new_turn_site: Callable[..., Site], user: str, password: str | None,
                                         code: str) -> None:
    """What coturn answers. User names of ours never hold a quote."""
    site = new_turn_site(options=["--allow-loopback-peers"])
    name = user.format(expiry=int(time.time()) + 600)
    if password is None:
        digest = hmac.new(site.current.encode(), name.encode(), hashlib.sha1).digest()
        password = base64.b64encode(digest).decode()
    with pytest.raises(TURNRefused, match=code):
        site.allocate((name, password))


def test_status_and_test_say_what_is(new_turn_site: Callable[..., Site]) -> None:
    site = new_turn_site(options=["--allow-loopback-peers"])
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


def test_tls_and_metrics(new_turn_site: Callable[..., Site], tmp_path: Path) -> None:
    """Over TLS with a certificate of an authority that the system is told to trust, and without that trust."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out",
         str(certificate), "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        capture_output=True, check=True)
    tls_port = free_tcp_port()
    site = new_turn_site(options=["--allow-loopback-peers", f"--tls-listening-port={tls_port}", f"--cert={certificate}",
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


def test_chromium_gets_a_relay_until_the_credential_expires(new_turn_site: Callable[..., Site]) -> None:
    site = new_turn_site()
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


def test_apps_need_a_token_of_ours(focus: Callbridge) -> None:
    url = focus.url + "/turn/credentials"
    for token in (None, "no.token.atall", focus.token("any", "an app")[:-4] + "AAAA"):
        refused = http("GET", url, token=token)
        assert refused.status == 401 and refused.headers["access-control-allow-origin"] == "*"
    answer = http("GET", url, token=focus.token("any", "an app"))
    assert (answer.status, answer.json, answer.headers["cache-control"]) == (200, {"iceServers": []}, "no-store")


def test_doctor_finds_an_open_relay(new_turn_site: Callable[..., Site]) -> None:
    site = new_turn_site(options=["--allow-loopback-peers"])
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
