"""A real browser, headless: Debian's Chromium driven by Playwright, both installed where they are missing."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from include.commands.package_index import read_pip_options, uv_environment
from include.commands.services import find_server
from include.config.settings import REPOSITORY_ROOT

REQUIREMENTS = Path(__file__).with_suffix(".txt")
TOOLS = REPOSITORY_ROOT / "var" / "browser"
SIZE = {"width": 1366, "height": 768}
"""A laptop's window."""
_COLOURS = 160
_SETTLED_MS = 400
_TIMEOUT_MS = 30_000
_POLL_MS = 100
_HARMLESS = ("Download the React DevTools", "escape its sandboxing")
"""What Airflow's own pages say in every browser."""


@dataclass
class Watched:
    """What the browser had to complain about, and where it went."""

    origin: str
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def listen(self, page: Any) -> None:
        """Note errors of the console, errors of scripts, and requests that leave the server."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("request", self._request)

    def _console(self, message: Any) -> None:
        if message.type == "error" and not any(part in message.text for part in _HARMLESS):
            self.complaints.append(f"{message.location.get('url', '')}: {message.text}")

    def _request(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.netloc != self.origin:
            self.foreign.append(request.url)


@contextmanager
def browser() -> Iterator[Any]:
    """Start the browser; it ends with the block."""
    chromium = find_server("chromium", "chromium", install=os.geteuid() == 0)
    with _playwright().sync_playwright() as driver:
        # Chromium refuses its own sandbox to root; what it opens here is ours alone.
        alone = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = driver.chromium.launch(
            executable_path=chromium, args=[*alone, "--disable-background-networking"]
        )
        yield opened
        opened.close()


@contextmanager
def logged_in(opened: Any, url: str, user: str, password: str, theme: str = "light") -> Iterator[Any]:
    """Log in through Airflow's form and yield the page; fail afterwards on anything that went wrong in it."""
    watched = Watched(urlsplit(url).netloc)
    context = opened.new_context(viewport=SIZE, color_scheme=theme, reduced_motion="reduce")
    context.set_default_timeout(_TIMEOUT_MS)
    context.add_init_script(f"try {{ localStorage.setItem('theme', {json.dumps(theme)}) }} catch {{}}")
    page = context.new_page()
    page.goto(url)
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_url(lambda address: "/login" not in address)
    page.wait_for_load_state("load")
    watched.listen(page)
    yield page
    context.close()
    assert not watched.complaints, f"the browser complained: {watched.complaints}"
    assert not watched.foreign, f"requests left the machine: {watched.foreign}"


def settle(page: Any) -> None:
    """Wait until a page has drawn what is in sight."""
    page.wait_for_load_state("load")
    for frame in page.frames:
        # Not until the network is idle: a live page, and Airflow's frame, ask again and again.
        until(
            frame,
            "document.readyState === 'complete' && [...document.querySelectorAll('figure.plot .canvas')]"
            ".every(c => c.dataset.drawn || c.getBoundingClientRect().top > innerHeight)",
        )
    page.wait_for_timeout(_SETTLED_MS)


def until(frame: Any, expression: str) -> None:
    """Wait until an expression is true; the browser's own waiting would evaluate text, which pages forbid."""
    for _ in range(_TIMEOUT_MS // _POLL_MS):
        if frame.evaluate(expression):
            return
        frame.wait_for_timeout(_POLL_MS)
    raise AssertionError(f"{frame.url}: never true: {expression}")


def too_wide(page: Any) -> list[str]:
    """Return the addresses of frames that are wider than their window."""
    return [
        frame.url
        for frame in page.frames
        if frame.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    ]


def shoot(page: Any, path: Path) -> None:
    """Keep a picture of the window, in few colours, since it is kept in the repository."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = path.with_suffix(".raw.png")
    page.screenshot(path=raw)
    with Image.open(raw) as picture:
        picture.convert("RGB").quantize(_COLOURS).save(path, optimize=True)
    raw.unlink()


def _playwright() -> Any:
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    stamp = TOOLS / "installed.txt"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        python = REPOSITORY_ROOT / ".venv" / "bin"
        command = [str(python / "uv"), "pip", "install", "--python", str(python / "python")]
        command += ["--target", str(TOOLS), "-r", str(REQUIREMENTS)]
        environment = uv_environment(read_pip_options(python / "python"), os.environ)
        subprocess.run(command, check=True, env=environment)
        stamp.write_text(wanted, encoding="utf-8")
    # Behind everything else: nothing of the environment is replaced by what it brings along.
    sys.path.append(str(TOOLS))
    return import_module("playwright.sync_api")
