# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""The test-call page in real Chromium, with a real coturn: does it say what is the matter?"""

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from TestBed.callbridge import Callbridge, run_callbridge
from TestBed.matrix import http
from TestBed.places import free_tcp_port
from TestBed.relay_server import RelayServer
from TestBed.reverse_proxy import ReverseProxy
from TestBed.server_api import hand_made
from TestBed.split_network import SplitNetwork
from TestBed.test_call_page import TestCallPage

from conftest import log_directory

SECRET = "relay-4Qm9rT7xV2bN8kLp3ZsWc6YhJd5FgA1e"
#: What the page promises, from the press of the button to the verdict; 5 s more for a machine that has other work.
PROMISE = 20
SLACK = 5


@pytest.fixture
def directory(request: pytest.FixtureRequest) -> Path:
    return log_directory(request.module.__name__, request.node.name)


@pytest.fixture
def relay(directory: Path) -> Iterator[RelayServer]:
    server = RelayServer(directory / "coturn", SECRET)
    server.start()
    yield server
    server.stop()


Serve = Callable[..., Callbridge]


@pytest.fixture
def serve(directory: Path) -> Iterator[Serve]:
    """Starts Callbridge with these TURN servers."""
    started: list[Callbridge] = []

    def start(turn_servers: list[dict], rtc: dict | None = None, **options: object) -> Callbridge:
        server = Callbridge(
            directory / "callbridge", settings={"rtc": {"turn_servers": turn_servers, **(rtc or {})}}, **options)
        started.append(server)
        server.start()
        return server
    yield start
    for server in started:
        server.stop()


def link(server: Callbridge, *options: str) -> str:
    """What an administrator sends to somebody."""
    return server.command(
        "test-link", "--config", str(server.configuration_file), "--url", server.url, *options).strip()


def claims_of(token: str) -> dict:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def run(server: Callbridge, **page_options: object) -> dict:
    with TestCallPage(**page_options) as page:
        page.open(link(server))
        verdict = page.test()
        print(verdict)
        assert verdict["report"]["seconds"] <= PROMISE + SLACK
        # Nothing of ours may break the page's own Content-Security-Policy, and no script may fail.
        assert not [line for line in page.complaints if "Content Security" in line or line.startswith("pageerror")]
        return verdict


def test_all_is_fine(serve: Serve, relay: RelayServer) -> None:
    verdict = run(serve(relay.entries("udp", "tcp")))
    assert (verdict["level"], verdict["code"], verdict["others"]) == ("ok", "all-fine", []), verdict
    assert "Calls work from here" in verdict["title"]
    report = verdict["report"]
    assert [(one["transport"], one["result"]) for one in report["turn"]] == [("udp", "ok"), ("tcp", "ok")]
    assert report["route"]["sending"]["kind"] == "direct"
    assert report["relayConnects"]["kind"] == "relay"
    assert report["echo"]["sound"]["level"] > 0.01 and report["echo"]["picture"]["frames"] >= 10


def test_the_turn_server_is_down(serve: Serve, relay: RelayServer) -> None:
    server = serve(relay.entries("udp", "tcp"))
    relay.stop()
    verdict = run(server)
    assert (verdict["level"], verdict["code"]) == ("warn", "turn-down"), verdict
    assert f"turn:127.0.0.1:{relay.port}" in verdict["text"]
    assert verdict["report"]["route"]["sending"]["kind"] == "direct"


def test_the_secret_is_wrong(serve: Serve, relay: RelayServer) -> None:
    verdict = run(serve(relay.entries("udp", "tcp", secret=SECRET + "x")))
    assert (verdict["level"], verdict["code"]) == ("warn", "turn-refused"), verdict
    assert "401" in verdict["text"] and "static-auth-secret" in verdict["text"]


def test_the_microphone_is_not_allowed(serve: Serve, relay: RelayServer) -> None:
    verdict = run(serve(relay.entries("udp")), grants=False)
    assert (verdict["level"], verdict["code"]) == ("fail", "microphone-denied"), verdict
    assert "camera-denied" in verdict["others"]
    # The network is judged all the same, with sound and picture made by the page.
    assert verdict["report"]["echo"]["sound"]["packets"] > 0
    assert verdict["report"]["echo"]["picture"]["frames"] > 0


def test_the_relay_may_not_reach_the_focus(serve: Serve, directory: Path) -> None:
    """coturn denies loopback, and loopback is all that the focus offers."""
    relay = RelayServer(directory / "coturn", SECRET, relays_to_loopback=False)
    relay.start()
    try:
        verdict = run(serve(relay.entries("udp"), rtc={"node_ip": "127.0.0.1"}))
    finally:
        relay.stop()
    assert (verdict["level"], verdict["code"]) == ("warn", "relay-cannot-reach"), verdict
    assert "allowed-peer-ip" in verdict["text"]


def test_no_turn_server_is_worth_a_note_only(serve: Serve) -> None:
    verdict = run(serve([]))
    assert (verdict["level"], verdict["code"], verdict["others"]) == ("ok", "all-fine", ["no-turn"]), verdict


@pytest.fixture
def split() -> Iterator[SplitNetwork]:
    obstacle = SplitNetwork.obstacle()
    if obstacle:
        pytest.skip(f"blocked UDP needs a network of its own: {obstacle}")
    with SplitNetwork() as network:
        yield network


@pytest.mark.parametrize(("protocols", "secret", "level", "code", "words"), [
    (("udp", "tcp"), SECRET, "warn", "udp-blocked-relayed", "over a relay by TCP"),
    (("udp",), SECRET, "fail", "udp-blocked", "none is configured for TCP or TLS"),
    (("tcp",), "stopped", "fail", "udp-blocked", "does not answer either, not even by TCP"),
    (("tcp",), SECRET + "x", "fail", "udp-blocked-turn-refused", "static-auth-secret"),
    ((), SECRET, "fail", "udp-blocked", "No TURN server is configured"),
], ids=["relay-over-tcp", "relay-over-udp-only", "relay-down", "wrong-secret", "no-relay"])
def test_udp_is_blocked(
        serve: Serve, split: SplitNetwork, directory: Path, protocols: tuple[str, ...], secret: str, level: str,
        code: str, words: str) -> None:
    relay = RelayServer(directory / "coturn", SECRET, host=split.server, launcher=split.launcher)
    relay.start()
    try:
        entries = relay.entries(*protocols, secret=secret) if protocols else []
        server = serve(entries, host=split.server, launcher=split.launcher)
        if secret == "stopped":
            relay.stop()
        split.block_udp()
        verdict = run(server, insecure_origin=server.url)
    finally:
        relay.stop()
    assert (verdict["level"], verdict["code"]) == (level, code), verdict
    assert words in verdict["text"], verdict
    if level == "warn":
        assert verdict["report"]["route"]["receiving"]["protocol"] == "tcp"
    else:
        assert verdict["report"]["route"] is None


def test_links(serve: Serve) -> None:
    """Without a link and with a damaged one the page says so at once, and neither starts anything."""
    server = serve([])
    good = link(server)
    assert good.startswith(f"{server.url}/test#")
    token = good.split("#", 1)[1]
    # An ordinary token is no link, and a link is no ordinary token.
    for bearer, word in ((None, "missing"), (token[:-4], "invalid"), (server.token("room", "alice"), "invalid")):
        answer = http("POST", server.url + "/test/run", b"", token=bearer)
        assert (answer.status, answer.json) == (401, {"error": word})
    assert http("GET", f"{server.url}/rtc/validate?access_token={token}").status == 401
    for address, code in ((f"{server.url}/test", "link-missing"), (good[:-4], "link-invalid")):
        with TestCallPage() as page:
            page.open(address)
            verdict = page.verdict()
            assert (verdict["level"], verdict["code"]) == ("fail", code)
            assert "callbridge test-link" in verdict["text"]
            assert page.page.get_by_role("button", name="Start the test").is_disabled()


def test_an_expired_link(serve: Serve) -> None:
    server = serve([])
    fresh = claims_of(link(server).split("#", 1)[1])
    old = hand_made({**fresh, "iat": fresh["iat"] - 1000, "nbf": fresh["nbf"] - 1000, "exp": fresh["exp"] - 1000},
                    server.api_secret)
    with TestCallPage() as page:
        page.open(f"{server.url}/test#{old}")
        verdict = page.verdict()
    assert verdict["code"] == "link-expired" and "15 minutes" in verdict["text"], verdict


# A test that went well; the cases below change what they are about.
WELL = {
    "refusal": None, "signalling": {"ok": True}, "turn": [{"url": "turn:t", "transport": "udp", "result": "ok"}],
    "offered": [{"address": "203.0.113.7", "port": 7882}], "relayConnects": {"kind": "relay", "protocol": "udp"},
    "route": {"sending": {"kind": "direct", "protocol": "udp", "rtt": 20}},
    "echo": {"sound": {"packets": 90, "level": 0.1}, "picture": {"frames": 40}, "lossPercent": 0, "jitter": 1},
}
DEVICES = {"microphone": "ok", "camera": "ok", "loudest": 0.1}


# What is changed, in the test and with the devices, and what the page finds.
JUDGEMENTS: list[tuple[dict, dict, list[str]]] = [
    ({}, {}, ["all-fine"]),
    ({}, {"microphone": "busy"}, ["microphone-busy"]),
    ({}, {"microphone": "missing", "camera": "missing"}, ["microphone-missing", "camera-missing"]),
    ({}, {"loudest": 0}, ["microphone-silent"]),
    ({"echo": {**WELL["echo"], "lossPercent": 12}}, {}, ["poor"]),
    ({"echo": {**WELL["echo"], "sound": {"packets": 0, "level": 0}}}, {}, ["no-sound-back"]),
    ({"echo": {**WELL["echo"], "picture": {"frames": 0}}}, {}, ["no-picture-back"]),
    ({"turn": [{"url": "turn:t", "transport": "udp", "result": "refused", "code": 486}], "relayConnects": None}, {},
     ["turn-refused"]),
    ({"turn": [*WELL["turn"], {"url": "turns:t", "transport": "tls", "result": "silent"}]}, {}, ["turn-partly-down"]),
    ({"route": {"sending": {"kind": "relay", "protocol": "udp", "rtt": 20}}}, {}, ["direct-blocked"]),
    ({"route": {"sending": {"kind": "relay", "protocol": "tls", "rtt": 20}},
      "turn": [{"url": "turn:t", "transport": "udp", "result": "silent"},
               {"url": "turns:t", "transport": "tls", "result": "ok"}]}, {}, ["udp-blocked-relayed"]),
    ({"route": None, "echo": None, "turn": [], "offered": [{"address": "10.0.0.2", "port": 7882}]}, {},
     ["private-address"]),
    ({"route": None, "echo": None}, {}, ["relay-cannot-reach"]),
    ({"route": None, "echo": None, "turn": []}, {"microphone": "denied"}, ["udp-blocked", "microphone-denied"]),
    ({"signalling": {"ok": False, "status": 503, "text": "the room is full"}, "route": None}, {},
     ["signalling-refused"]),
    ({"signalling": {"ok": False, "status": 0, "text": "no answer in time"}, "route": None}, {},
     ["signalling-silent"]),
    ({"refusal": "busy"}, {}, ["busy"]),
    ({"refusal": "a word of a newer server"}, {}, ["server-unreachable"]),
]


def test_verdicts_on_measurements(focus: Callbridge) -> None:
    """What no machine of ours can bring about at will: the page's own judgement of such measurements."""
    with TestCallPage() as page:
        page.open(f"{focus.url}/test")
        for change, devices, codes in JUDGEMENTS:
            measured = {"run": {**WELL, **change}, "devices": {**DEVICES, **devices}, "host": "call.example.org"}
            findings = page.page.evaluate(
                "async measured => (await import(new URL('test/verdict.js', location.href))).judge(measured)", measured)
            assert [one["code"] for one in findings] == codes, findings
            assert all(one["title"] and one["cause"] and one["next"] for one in findings), findings
            assert "undefined" not in str(findings)


def test_an_unencrypted_page_says_why_it_cannot_test(serve: Serve, split: SplitNetwork) -> None:
    server = serve([], host=split.server, launcher=split.launcher)
    with TestCallPage() as page:
        page.open(link(server))
        verdict = page.verdict()
    assert verdict["code"] == "insecure", verdict
    assert "https://" in verdict["text"]


def test_the_page_works_by_keyboard_and_names_everything(serve: Serve) -> None:
    server = serve([])
    with TestCallPage(viewport={"width": 360, "height": 740}, reduced_motion="reduce") as page:
        page.open(link(server))
        view = page.page
        for role, name in (("combobox", "Microphone"), ("combobox", "Camera"), ("meter", "Level"),
                           ("checkbox", "Let me hear what comes back"), ("button", "Start the test")):
            assert view.get_by_role(role, name=name).count() == 1, (role, name)
        view.get_by_role("button", name="Start the test").focus()
        view.keyboard.press("Enter")
        verdict = page.verdict(60)
        assert verdict["code"] == "all-fine", verdict
        # Screen readers are taken to the verdict.
        assert view.evaluate("() => document.activeElement.id") == "verdict-title"
        assert view.get_by_role("row").count() >= 6
        assert view.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "wider than a phone"
        names = view.locator("#microphone option").all_text_contents()
        assert len(names) > 1 and all(names), names
        view.get_by_role("button", name="Turn off camera and microphone").click()
        assert view.evaluate("() => document.getElementById('preview').srcObject === null")


@pytest.mark.skipif(not os.environ.get("CALLBRIDGE_SCREENSHOTS"), reason="CALLBRIDGE_SCREENSHOTS names no folder")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", ["desktop", "phone"])
def test_screenshots(serve: Serve, relay: RelayServer, scheme: str, width: str) -> None:
    """Pictures for docs/screenshots; nothing is judged."""
    server = serve(relay.entries("udp", "tcp", secret=SECRET if scheme == "light" else SECRET + "x"),
                   rtc={"enable_loopback_candidate": True})
    size = {"width": 1000, "height": 800} if width == "desktop" else {"width": 390, "height": 844}
    with TestCallPage(viewport=size, color_scheme=scheme, is_mobile=width == "phone") as page:
        page.open(link(server))
        page.test()
        page.page.wait_for_timeout(300)
        page.screenshot(Path(os.environ["CALLBRIDGE_SCREENSHOTS"]) / f"test-call-{width}-{scheme}.png")


@pytest.mark.parametrize("strips", [True, False], ids=["prefix-taken-away", "prefix-left"])
def test_behind_nginx_with_a_path(serve: Serve, directory: Path, strips: bool) -> None:
    """Page, signalling and tokens below a path, whether or not the proxy passes the path on."""
    port = free_tcp_port()
    public = f"http://127.0.0.1:{port}/livekit/sfu"
    # Nobody is at the homeserver's address; the focus is there all the same.
    server = serve([], homeserver_url=f"http://127.0.0.1:{free_tcp_port()}", matrix_settings={
        "livekit_service_url": public.replace("/sfu", "/jwt"), "websocket_url": public.replace("http", "ws", 1)})
    with ReverseProxy(directory / "nginx", server.port, "/livekit/sfu", strips, port=port):
        address = server.command("test-link", "--config", str(server.configuration_file)).strip()
        assert address.startswith(f"{public}/test#")
        with TestCallPage() as page:
            # The slash that people add leads back.
            page.open(address.replace("/test#", "/test/#"))
            assert page.page.url == address
            verdict = page.test()
    assert verdict["code"] == "all-fine", verdict


def test_a_proxy_that_passes_no_upgrades_is_named(serve: Serve, directory: Path) -> None:
    server = serve([])
    with ReverseProxy(directory / "nginx", server.port, "/sfu", strips=True, passes_upgrades=False) as proxy:
        with TestCallPage() as page:
            page.open(server.command(
                "test-link", "--config", str(server.configuration_file), "--url", proxy.url).strip())
            verdict = page.test()
    assert (verdict["level"], verdict["code"]) == ("fail", "websocket-blocked"), verdict
    assert "Upgrade" in verdict["text"]


@pytest.mark.parametrize(("family", "offered"), [("IPv4", "203.0.113.7"), ("IPv6", "2001:db8::7")])
def test_lan_and_wan_addresses_are_offered_together(serve: Serve, family: str, offered: str) -> None:
    """A public address that nothing reaches from here, and those of the interfaces: the call finds its way."""
    verdict = run(serve([], rtc={"node_ip": offered, "advertise_internal_ip": True, "turn_servers": []}))
    assert verdict["code"] == "all-fine", verdict
    addresses = [one["address"] for one in verdict["report"]["offered"]]
    assert addresses[0] == offered and len(addresses) > 1, addresses


def test_our_own_coturn_tells_our_address(serve: Serve, split: SplitNetwork, directory: Path) -> None:
    """rtc.use_external_ip: the focus stands in its own network, coturn outside sees it at that address."""
    relay = RelayServer(directory / "coturn", SECRET, host=split.client)
    relay.start()
    try:
        server = serve(relay.entries("udp"), rtc={"use_external_ip": True}, host=split.server, launcher=split.launcher)
        verdict = run(server, insecure_origin=server.url)
    finally:
        relay.stop()
    log = server.process.log_text()
    assert "A STUN server told our address" in log and split.server in log
    # It is a private one, which an administrator has to know.
    assert "The address that the STUN server sees is private" in log
    assert verdict["report"]["offered"][0]["address"] == split.server, verdict["report"]["offered"]


def test_both_families_at_once(serve: Serve, split: SplitNetwork) -> None:
    """The server offers IPv4 and IPv6 on one port; with IPv4 cut off, the call goes over IPv6."""
    server = serve([], host=split.server, launcher=split.launcher)
    split.inside("nft", f"add rule inet test input iifname {split.link} ip protocol udp drop")
    verdict = run(server, insecure_origin=server.url)
    assert verdict["code"] == "all-fine", verdict
    assert verdict["report"]["route"]["sending"]["remote"].startswith(f"[{split.server6}]:"), verdict["report"]["route"]
    assert {split.server, split.server6} <= {one["address"] for one in verdict["report"]["offered"]}


def test_the_printed_firewall_rules_are_rules(directory: Path, split: SplitNetwork) -> None:
    """nftables takes the lines of `callbridge ports` as they are."""
    configuration = directory / "callbridge.yaml"
    directory.mkdir(parents=True, exist_ok=True)
    configuration.write_text(json.dumps({
        "keys": {"APItest": SECRET}, "rtc": {"udp_port": "7882-7885", "turn_servers": [
            {"host": "turn.example.org", "port": 443, "protocol": "tls", "secret": SECRET}]}}))
    printed = run_callbridge("ports", "--config", str(configuration))
    assert printed.returncode == 0, printed.stderr
    assert SECRET not in printed.stdout
    rules = [line.strip() for line in printed.stdout.splitlines() if " dport " in line]
    assert len(rules) == 4, printed.stdout
    for rule in rules:
        split.inside("nft", f"add rule inet test input {rule}")
