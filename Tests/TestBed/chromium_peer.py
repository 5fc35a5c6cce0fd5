# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""A participant in headless Chromium: the page in `page/`, driven through playwright."""

import functools
import http.server
import json
import os
import threading
import time
from collections.abc import Callable

from .places import REPOSITORY, chromium_program
from .processes import TimeLimit

PAGE = REPOSITORY / "Tests" / "TestBed" / "page"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves the page. Chromium must not keep an older one."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class ChromiumPeer:
    """One browser with one page; both end with the block."""

    def __enter__(self) -> "ChromiumPeer":
        from playwright.sync_api import sync_playwright
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(QuietHandler, directory=str(PAGE)))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.driver = sync_playwright().start()
        is_root = os.geteuid() == 0
        self.browser = self.driver.chromium.launch(
            executable_path=str(chromium_program()), headless=True, chromium_sandbox=not is_root, args=[
                "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                "--autoplay-policy=no-user-gesture-required", "--disable-gpu", "--disable-dev-shm-usage",
                # The call is on this machine, whose loopback is no candidate otherwise.
                "--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns",
                # Nothing is asked for updates or reputations.
                "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
            ] + (["--no-sandbox"] if is_root else []))
        self.page = self.browser.new_context(permissions=["camera", "microphone"]).new_page()
        self.console: list[str] = []
        self.page.on("console", lambda message: self.console.append(message.text))
        self.page.on("pageerror", lambda error: self.console.append(str(error)))
        self.page.goto(f"http://127.0.0.1:{self.server.server_port}/index.html")
        self.page.wait_for_function("() => window.client")
        return self

    def __exit__(self, *_: object) -> None:
        self.browser.close()
        self.driver.stop()
        self.server.shutdown()
        self.server.server_close()

    def call(self, method: str, *arguments: object):
        """A method of the page's client, and its result."""
        try:
            return self.page.evaluate(
                "([method, values]) => client[method](...values)", [method, list(arguments)])
        except Exception as error:
            raise AssertionError(f"{method}: {error}\n{self.log()}") from None

    def connect(self, url: str, token: str, generation: int = 1, decrypts: bool = False,
                ice_servers: list[dict] | None = None) -> dict:
        return self.call("connect", {"url": url, "token": token, "generation": generation, "decrypts": decrypts,
                                     "iceServers": ice_servers or []})

    def chosen_candidates(self) -> list[str]:
        """The type of our candidate in each nominated pair."""
        return self.page.evaluate("""async () => {
            const stats = new Map(await client.subscriber.peer.getStats());
            return [...stats.values()].filter(s => s.type === "candidate-pair" && s.nominated)
                .map(s => stats.get(s.localCandidateId).candidateType);
        }""")

    def value(self, expression: str):
        """A property of the page's client, such as `state`."""
        return self.page.evaluate(f"() => client.{expression}")

    def report(self) -> dict:
        return self.call("report")

    def wait_for_media(self, key: str, matches: Callable[[dict], object], seconds: float) -> dict:
        """Until the report about "identity/track" satisfies."""
        deadline = time.monotonic() + seconds
        while True:
            report = self.report()
            if key in report and matches(report[key]):
                return report[key]
            if time.monotonic() > deadline:
                raise TimeLimit(f"Chromium: not within {seconds:g} s: {key} as wanted; it is "
                                f"{json.dumps(report.get(key))}\n{self.log()}")
            self.page.wait_for_timeout(100)

    def wait_for(self, expression: str, seconds: float) -> None:
        """Until a property of the page's client is true."""
        try:
            self.page.wait_for_function(f"() => client.{expression}", timeout=seconds * 1000)
        except Exception:
            raise TimeLimit(f"Chromium: not within {seconds:g} s: {expression}\n{self.log()}") from None

    def log(self) -> str:
        return "\n".join([*self.page.evaluate("() => client.log.slice(-40)"), *self.console[-10:]])
