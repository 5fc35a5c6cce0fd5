# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""A Synapse on loopback: SQLite, our registrations loaded, calls turned on, no rate limits."""

import json
import secrets
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from .places import SYNAPSE_PYTHON, existing, free_tcp_port
from .processes import ServerProcess

UNLIMITED = {"per_second": 10000, "burst_count": 10000}


@dataclass
class Synapse:
    """One homeserver. Its files, the log among them, are below the directory."""

    directory: Path
    registrations: list[Path]
    livekit_service_url: str
    websocket_url: str
    server_name: str = "callbridge.test"
    port: int = field(default_factory=free_tcp_port)
    shared_secret: str = field(default_factory=lambda: secrets.token_hex(16))
    # Federation over TLS at this port, which the server name must then have: localhost:PORT.
    tls_port: int | None = None
    # Keys of homeserver.yaml that stand in place of ours.
    settings: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        python = existing(SYNAPSE_PYTHON, "Synapse")
        self.process = ServerProcess(
            "Synapse", [str(python), "-m", "synapse.app.homeserver", "-c", str(self.directory / "homeserver.yaml")],
            self.directory / "synapse.log", directory=self.directory)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, seconds: float = 90) -> None:
        """Writes the configuration and waits for the first answer. The database survives a stop."""
        self.directory.mkdir(parents=True, exist_ok=True)
        key = self.directory / "signing.key"
        if not key.exists():
            key.write_text(f"ed25519 a_test {secrets.token_urlsafe(32).replace('-', 'A').replace('_', 'B')}\n")
        if self.tls_port and not self.certificate.exists():
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                 "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                 "-keyout", str(self.certificate.with_suffix(".key")), "-out", str(self.certificate)],
                check=True, capture_output=True)
        # JSON is YAML, and needs no library.
        (self.directory / "log.yaml").write_text(json.dumps(self.logging))
        (self.directory / "homeserver.yaml").write_text(json.dumps({**self.configuration, **self.settings}, indent=1))
        self.process.start()
        self.process.wait_until_ready(self.answers, seconds)

    @property
    def certificate(self) -> Path:
        return self.directory / "tls.crt"

    def stop(self) -> None:
        self.process.stop()

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/health", timeout=2) as response:
                return response.status == 200
        except (urllib.error.URLError, OSError):
            return False

    @property
    def logging(self) -> dict:
        return {
            "version": 1,
            "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
            "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stdout"}},
            "root": {"level": "INFO", "handlers": ["out"]},
            "disable_existing_loggers": False,
        }

    @property
    def configuration(self) -> dict:
        base = str(self.directory)
        return {
            "server_name": self.server_name,
            "public_baseurl": self.url + "/",
            "listeners": [{
                "port": port, "bind_addresses": ["127.0.0.1"], "type": "http", "tls": port == self.tls_port,
                "resources": [{"names": ["client", "federation", "openid"], "compress": False}],
            } for port in (self.port, self.tls_port) if port],
            **({"tls_certificate_path": str(self.certificate),
                "tls_private_key_path": str(self.certificate.with_suffix(".key"))} if self.tls_port else {}),
            "database": {"name": "sqlite3", "args": {"database": base + "/homeserver.db"}},
            "log_config": base + "/log.yaml",
            "pid_file": base + "/synapse.pid",
            "media_store_path": base + "/media",
            "signing_key_path": base + "/signing.key",
            "macaroon_secret_key": self.shared_secret + "macaroon",
            "form_secret": self.shared_secret + "form",
            "registration_shared_secret": self.shared_secret,
            "bcrypt_rounds": 4,
            "report_stats": False,
            "trusted_key_servers": [],
            "suppress_key_server_warning": True,
            "url_preview_enabled": False,
            # Loopback may be asked, and nothing else is.
            "ip_range_blacklist": [],
            "federation_verify_certificates": False,
            "app_service_config_files": [str(path) for path in self.registrations],
            "max_event_delay_duration": "24h",
            "matrix_rtc": {"transports": [{
                "type": "livekit", "livekit_service_url": self.livekit_service_url, "url": self.websocket_url,
            }]},
            "experimental_features": {
                "msc2409_to_device_messages_enabled": True,
                "msc3202_transaction_extensions": True,
                "msc4075_enabled": True,
                "msc4140_max_delayed_events_per_user": 1000,
                "msc4143_enabled": True,
                "msc4222_enabled": True,
                "msc4354_enabled": True,
                "msc4502_enabled": True,
                "msc4512_enabled": True,
            },
            **{name: UNLIMITED for name in (
                "rc_message", "rc_registration", "rc_registration_token_validity", "rc_admin_redaction",
                "rc_joins_per_room", "rc_3pid_validation", "rc_third_party_invite", "rc_media_create",
                "rc_key_requests", "rc_delayed_event_mgmt", "rc_room_creation", "rc_reports", "rc_user_directory",
                "rc_profile")},
            "rc_login": {"address": UNLIMITED, "account": UNLIMITED, "failed_attempts": UNLIMITED},
            "rc_joins": {"local": UNLIMITED, "remote": UNLIMITED},
            "rc_invites": {"per_room": UNLIMITED, "per_user": UNLIMITED, "per_issuer": UNLIMITED},
            "rc_presence": {"per_user": UNLIMITED},
            "rc_federation": {
                "window_size": 1000, "sleep_limit": 10000, "sleep_delay": 1, "reject_limit": 10000, "concurrent": 100},
        }
