"""Pages as a user serves them, and Debian's Chromium, which tests look through.

Chromium is installed where it is missing and that is possible.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from bigtop_builder.adapter.store import Store
from bigtop_builder.flow.run.records import newest_runs
from tests.real.conftest import Tool

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PACKAGES = ["chromium", "fonts-noto-cjk", "fonts-dejavu-core"]
PATIENCE = 600
"""Seconds after which a test gives up; never asserted as a speed."""


def chromium() -> str:
    """Return the path of Chromium. Skips the test where it is missing and cannot be installed."""
    found = shutil.which("chromium")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", "install", "--yes", "--no-install-recommends"]
        subprocess.run([*install, *PACKAGES], check=False, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        found = shutil.which("chromium")
    if found is None:
        pytest.skip(f"missing: {' '.join(PACKAGES)} (Debian's names)")
    return found


@dataclass
class Viewer:
    """A browser that keeps what goes wrong in it, and every address that it asks."""

    browser: Browser
    said: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    def open(
        self, address: str, *, dark: bool = False, width: int = 1280, locale: str = "en-US", script: bool = True
    ) -> Page:
        """Open a page in a window of its own."""
        context = self.browser.new_context(
            viewport={"width": width, "height": 860},
            color_scheme="dark" if dark else "light",
            locale=locale,
            java_script_enabled=script,
        )
        page = context.new_page()
        page.on(
            "console", lambda message: self.said.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.add(request.url))
        page.goto(address, wait_until="load")
        return page

    def leave(self) -> None:
        """Close all windows: one that follows something complains when its server ends."""
        for context in self.browser.contexts:
            context.close()

    def violations(self, address: str, *, dark: bool) -> list[str]:
        """Return what axe-core has to say about a page."""
        # The checker is put into the page as a script, which the page's own policy would forbid.
        context = self.browser.new_context(bypass_csp=True, color_scheme="dark" if dark else "light")
        page = context.new_page()
        page.goto(address, wait_until="load")
        found = Axe().run(page).response["violations"]
        context.close()
        return [f"{address} {one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


@contextmanager
def viewer() -> Iterator[Viewer]:
    """A browser for a test."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            yield Viewer(browser)
        finally:
            browser.close()


def keep(page: Page, name: str, **options: bool) -> None:
    """Write a picture for the documentation, if a folder for it is given."""
    folder = os.environ.get("BIGTOP_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", **options)


@contextmanager
def served(tool: Tool, *options: str) -> Iterator[str]:
    """The pages of a project, as a user serves them."""
    process = tool.start("web", "--port", "0", *options)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, process.stderr.read() if process.stderr else ""
        yield address.rstrip("/")
    finally:
        process.terminate()
        process.communicate(timeout=60)


def runs(tool: Tool, kind: str) -> list[str]:
    """The project's runs of a kind, newest first."""
    kept = newest_runs(Store(tool.store), 50)
    return [run.id for run in kept if run.state.kind == kind and run.state.project == str(tool.folder)]


@contextmanager
def begun(tool: Tool, kind: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command of the tool whose run has begun, and that run. It is ended if it goes on longer than the test."""
    earlier = runs(tool, kind)
    process = tool.start(*arguments)
    try:
        deadline = time.monotonic() + PATIENCE
        # The newest run may be one of an earlier test, as long as this command has not begun its own.
        while not (new := [run for run in runs(tool, kind) if run not in earlier]):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the run did not begin"
            time.sleep(0.2)
        yield process, new[0]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=60)
