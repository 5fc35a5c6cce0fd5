# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""The test-call page of the binary in headless Chromium, as a person uses it."""

import os
from pathlib import Path

from .places import chromium_program


class TestCallPage:
    """One browser with the page; both end with the block.

    `insecure_origin` is an http:// origin that Chromium shall trust like https://. Without `grants`, the permission to
    use microphone and camera is refused, as by a person who says no.
    """

    __test__ = False

    def __init__(self, insecure_origin: str | None = None, grants: bool = True, **context: object):
        self.insecure_origin = insecure_origin
        self.grants = grants
        self.context_options = context

    def __enter__(self) -> "TestCallPage":
        from playwright.sync_api import sync_playwright
        self.driver = sync_playwright().start()
        is_root = os.geteuid() == 0
        self.browser = self.driver.chromium.launch(
            executable_path=str(chromium_program()), headless=True, chromium_sandbox=not is_root, args=[
                "--use-fake-device-for-media-stream", "--disable-gpu", "--disable-dev-shm-usage",
                # The servers may be on this machine, whose loopback is no candidate otherwise.
                "--allow-loopback-in-peer-connection",
                "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
            ] + (["--no-sandbox"] if is_root else [])
            + ([f"--unsafely-treat-insecure-origin-as-secure={self.insecure_origin}"] if self.insecure_origin else []))
        self.page = self.browser.new_context(
            permissions=["camera", "microphone"] if self.grants else [], **self.context_options).new_page()
        self.complaints: list[str] = []
        """What the page wrote to the console, refusals of the Content-Security-Policy among it."""
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"pageerror: {error}"))
        return self

    def __exit__(self, *_: object) -> None:
        self.browser.close()
        self.driver.stop()

    def open(self, url: str) -> None:
        self.page.goto(url)

    def test(self, seconds: float = 60) -> dict:
        """Presses the button and waits for the verdict."""
        self.page.get_by_role("button", name="Start the test").click()
        return self.verdict(seconds)

    def verdict(self, seconds: float = 20) -> dict:
        """What the card says: level, code, other codes, title, and the whole text."""
        self.page.wait_for_selector("#verdict:not([hidden])", timeout=seconds * 1000)
        return self.page.evaluate("""() => {
          const card = document.getElementById("verdict");
          return {
            ...card.dataset, others: (card.dataset.others ?? "").split(" ").filter(Boolean),
            title: document.getElementById("verdict-title").textContent, text: card.innerText,
            report: JSON.parse(document.getElementById("report").textContent || "{}"),
          };
        }""")

    def screenshot(self, path: Path) -> None:
        self.page.screenshot(path=str(path), full_page=True)
