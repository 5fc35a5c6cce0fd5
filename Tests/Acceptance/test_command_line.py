# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""The commands: help, mistakes in configurations, exit codes."""

import os
import socket
import stat

import pytest

from TestBed.callbridge import Callbridge, run_callbridge
from TestBed.matrix import http
from TestBed.places import free_tcp_port, free_udp_port

COMMANDS = [
    [], ["serve"], ["generate-registration"], ["check-config"], ["config"], ["config", "print"], ["discovery"],
    ["ports"], ["test-link"], ["token"], ["token", "create"], ["keys"], ["keys", "new"], ["load-test"], ["version"],
]
SECRET = "a-secret-of-enough-letters-0123456789"
CONFIGURATION, REGISTRATION, PORT_IN_USE, USAGE = 10, 11, 15, 64


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words) or "callbridge")
def test_every_command_has_help(command: list[str]) -> None:
    result = run_callbridge(*command, "--help")
    assert result.returncode == 0 and not result.stderr
    assert "USAGE" in result.stdout


def test_help_documents_the_exit_codes() -> None:
    text = run_callbridge("--help").stdout
    for code in (CONFIGURATION, REGISTRATION, PORT_IN_USE, USAGE):
        assert f"  {code} " in text


def last_line(result) -> str:
    """The line that every exit with a fault ends with: cause, source, fix."""
    line = result.stderr.strip().splitlines()[-1]
    assert line.startswith("error: ") and line.count(" — ") == 2, result.stderr
    return line


@pytest.mark.parametrize("arguments", [
    ["no-such-command"], ["serve", "--no-such-option"], ["token", "create", "--room", "r"],
    ["token", "create", "--dev", "--room", "r", "--identity", "i", "--valid-for", "soon"], ["serve", "extra"],
])
def test_a_wrong_command_line(arguments: list[str]) -> None:
    result = run_callbridge(*arguments)
    assert result.returncode == USAGE
    last_line(result)


def test_all_faults_are_reported_together(tmp_path) -> None:
    file = tmp_path / "callbridge.yaml"
    file.write_text("prot: 7880\nport: 99999\nkeys:\n  a: short\nrtc:\n  udp_prot: 1\n  udp_port: none\nlogging:\n"
                    "  level: shouting\n")
    result = run_callbridge("check-config", "--config", str(file))
    assert result.returncode == CONFIGURATION
    text = result.stderr
    for place in ("port", "rtc.udp_port", "logging.level"):
        assert place in text, text
    for line in ("2", "7", "9"):
        assert f":{line}" in text or f"line {line}" in text, text
    # An unknown key is a warning that names the nearest one.
    assert "prot" in text and "did you mean" in text.lower() or "port" in text
    assert "rtc.udp_port" in text and "udp_prot" in text
    last_line(result)


def test_an_unknown_key_is_only_a_warning(tmp_path) -> None:
    file = tmp_path / "callbridge.yaml"
    file.write_text(f"prot: 7880\nkeys:\n  name: {SECRET}\n")
    result = run_callbridge("check-config", "--config", str(file))
    assert result.returncode == 0, result.stderr
    assert "prot" in result.stderr and "port" in result.stderr
    assert "1 warning" in result.stdout


@pytest.mark.parametrize("secret", ["secret", "short", "your-api-secret", "changeme-changeme-changeme-changeme"])
def test_weak_secrets_are_refused(secret: str) -> None:
    result = run_callbridge("check-config", "--keys", f"name: {secret}")
    assert result.returncode == CONFIGURATION
    last_line(result)


def test_secrets_are_not_shown() -> None:
    for arguments in (["check-config"], ["config", "print"]):
        result = run_callbridge(*arguments, "--keys", f"name: {SECRET}")
        assert SECRET not in result.stdout + result.stderr
    result = run_callbridge("serve", "--keys", "name:", SECRET)
    assert result.returncode == USAGE and SECRET not in result.stdout + result.stderr


@pytest.mark.parametrize("form", [
    "name: {}", "name:{}", "name={}", '{{"name": "{}"}}', "other: {}\nname: {}",
])
def test_forms_of_keys(form: str) -> None:
    text = form.replace("{}", SECRET).replace("{{", "{").replace("}}", "}")
    result = run_callbridge("token", "create", "--room", "r", "--identity", "i", "--key", "name",
                            environment={"LIVEKIT_KEYS": text})
    assert result.returncode == 0, result.stderr
    assert result.stdout.count(".") == 2


def test_a_key_file_must_be_private(tmp_path) -> None:
    keys = tmp_path / "keys"
    assert run_callbridge("keys", "new", "--output", str(keys)).returncode == 0
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    arguments = ["token", "create", "--room", "r", "--identity", "i"]
    environment = {"CALLBRIDGE_KEY_FILE": str(keys)}
    assert run_callbridge(*arguments, environment=environment).returncode == 0
    keys.chmod(0o644)
    result = run_callbridge(*arguments, environment=environment)
    assert result.returncode == CONFIGURATION
    assert str(keys) in last_line(result)


def test_files_are_not_overwritten(tmp_path) -> None:
    keys = tmp_path / "keys"
    assert run_callbridge("keys", "new", "--output", str(keys)).returncode == 0
    before = keys.read_text()
    assert run_callbridge("keys", "new", "--output", str(keys)).returncode == CONFIGURATION
    assert keys.read_text() == before
    assert run_callbridge("keys", "new", "--output", str(keys), "--force").returncode == 0
    assert keys.read_text() != before


def test_precedence_and_origin_of_values(tmp_path) -> None:
    file = tmp_path / "callbridge.yaml"
    file.write_text(f"port: 1001\nrtc: {{udp_port: 1001}}\nkeys: {{name: {SECRET}}}\nlogging: {{level: error}}\n")
    result = run_callbridge("config", "print", "--config", str(file), "--port", "3003",
                            environment={"LIVEKIT_PORT": "2002", "UDP_PORT": "2002"})
    assert result.returncode == 0, result.stderr

    def line(key: str) -> str:
        return next(line for line in result.stdout.splitlines() if line.strip().startswith(key + ":"))
    assert "3003" in line("port") and "--port" in result.stdout
    assert "2002" in line("udp_port") and "UDP_PORT" in result.stdout
    assert "error" in line("level") and "callbridge.yaml" in result.stdout


def test_a_stock_livekit_file_is_understood(tmp_path) -> None:
    file = tmp_path / "livekit.yaml"
    file.write_text(f"""
port: 7880
log_level: info
rtc:
  tcp_port: 7881
  port_range_start: 50000
  port_range_end: 60000
  use_external_ip: true
redis:
  address: redis:6379
turn:
  enabled: false
keys:
  APIkey: {SECRET}
room:
  auto_create: false
""")
    result = run_callbridge("check-config", "--config", str(file))
    assert result.returncode == 0, result.stderr


def test_a_registration_is_private_and_new_each_time(tmp_path) -> None:
    texts = set()
    for name in ("one", "two"):
        file = tmp_path / f"{name}.yaml"
        result = run_callbridge("generate-registration", "--server-name", "example.org", "--url", "http://127.0.0.1:1",
                                "--livekit-service-url", "https://call.example.org", "--output", str(file))
        assert result.returncode == 0, result.stderr
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        texts.add(file.read_text())
        assert "app_service_config_files" in result.stdout and "rtc_foci" in result.stdout
    assert len(texts) == 2
    again = run_callbridge("generate-registration", "--server-name", "example.org", "--url", "http://127.0.0.1:1",
                           "--livekit-service-url", "https://call.example.org", "--output", str(tmp_path / "one.yaml"))
    assert again.returncode == REGISTRATION
    last_line(again)


def test_a_port_in_use(tmp_path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run_callbridge("serve", "--dev", "--bind", "127.0.0.1", "--port", str(port), "--rtc-port",
                                str(free_udp_port()), "--data", str(tmp_path))
        assert result.returncode == PORT_IN_USE, result.stderr
        assert str(port) in last_line(result)


def test_a_media_port_in_use(tmp_path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        port = taken.getsockname()[1]
        result = run_callbridge("serve", "--dev", "--port", str(free_tcp_port()), "--rtc-port", str(port), "--data",
                                str(tmp_path))
        assert result.returncode == PORT_IN_USE, result.stderr
        assert str(port) in last_line(result)


def test_a_missing_configuration_file() -> None:
    result = run_callbridge("serve", "--config", "/nowhere/callbridge.yaml")
    assert result.returncode == CONFIGURATION
    assert "/nowhere/callbridge.yaml" in last_line(result)


def test_the_development_focus(tmp_path) -> None:
    port = free_tcp_port()
    server = Callbridge(tmp_path)
    server.process.command = [server.process.command[0], "serve", "--dev", "--port", str(port), "--rtc-port",
                              str(free_udp_port()), "--data", str(tmp_path / "data")]
    server.port = port
    server.start()
    try:
        token = run_callbridge("token", "create", "--dev", "--room", "r", "--identity", "i").stdout.strip()
        assert http("GET", server.url + "/rtc/validate", token=token).text == "success"
        assert http("GET", server.url + "/").text == "OK"
        assert http("HEAD", server.url + "/").status == 200
        assert http("GET", server.url + "//rtc/validate", token=token).status == 200
        assert http("GET", server.url + "/nowhere").status == 404
    finally:
        assert server.stop() == 0


def test_environment_file(tmp_path) -> None:
    file = tmp_path / "environment"
    file.write_text(f"# keys\nLIVEKIT_KEYS='name: {SECRET}'\nCALLBRIDGE_PORT=4004\n")
    os.chmod(file, 0o600)
    result = run_callbridge("config", "print", "--env-file", str(file))
    assert result.returncode == 0, result.stderr
    assert "4004" in result.stdout
