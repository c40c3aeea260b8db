"""A real browser without a window."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.support.needs import require

_HASTE = "const slow = setTimeout; window.setTimeout = (what, ms) => slow(what, (ms || 0) / 20);"
"""Has the pauses of a page pass twenty times as fast."""
_PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")
"""The first one has the same engine, and no windows to keep: half the processor time (measured)."""
_OPTIONS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]


class Proxy:
    """A proxy in front of the pages.

    ``down``: it answers in place of a server that restarts. ``streams``: what becomes of them, if not ``passed on``.
    """

    def __init__(self, behind: Callable[..., Any]) -> None:
        self._behind = behind
        self.down = False
        self.streams: Literal["passed on", "held back", "turned away"] = "passed on"

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        stream = environ.get("HTTP_ACCEPT") == "text/event-stream"
        if stream and self.streams == "held back":
            return [b"".join(self._behind(environ, start_response))]
        if not self.down and not (stream and self.streams == "turned away"):
            return self._behind(environ, start_response)
        start_response("502 Bad Gateway", [("Content-Type", "text/plain")])
        return [b"Bad Gateway"]


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), "")
    require(program, f"no Chromium (package {_PROGRAMS[0]})")
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=program, args=_OPTIONS)
        try:
            yield chromium
        finally:
            chromium.close()


def log_in(context: BrowserContext, token: str, root: str = "") -> Page:
    """Open the pages in a browser whose pauses are short, and log in. :param root: the path under which they are."""
    context.set_default_timeout(20_000)
    context.add_init_script(_HASTE)
    page = context.new_page()
    page.goto(f"{root}/login")
    page.fill("[name=token]", token)
    page.click("form.login button")
    page.wait_for_url("**/runs")
    return page
