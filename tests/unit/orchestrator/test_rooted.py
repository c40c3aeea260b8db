"""The path under which we are served: taken off where it is there, ours in any case."""

from collections.abc import Sequence
from typing import Any

import pytest

from orchestrator.at_once import Pending, nothing_to_write
from orchestrator.rooted import Rooted, RootedAtOnce

TOP: tuple[str, ...] = ("",)
ONE = ("/pilotage",)
OWN_PATH_FOR_HOOKS = ("/hooks", "/pilotage")
NONE_FOR_HOOKS = ("", "/pilotage")
NESTED = ("/tools/ci", "/tools")


class App:
    """Remembers where it was asked, as one that answers at once, too."""

    paths = frozenset({"/webhooks/github", "/webhooks/gitlab"})

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.flushed = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        self.asked.append((environ["SCRIPT_NAME"], environ["PATH_INFO"]))
        return [b"answer"]

    def begin(self, environ: dict[str, Any]) -> Pending:
        """Judge nothing."""
        self(environ, None)
        return Pending(nothing_to_write(), lambda: NotImplemented)

    def flush(self) -> None:
        """Record nothing."""
        self.flushed += 1


@pytest.mark.parametrize(
    ("roots", "path", "place"),
    [
        (TOP, "/runs", ("", "/runs")),
        (TOP, "/", ("", "/")),
        (ONE, "/pilotage/runs", ("/pilotage", "/runs")),
        (ONE, "/runs", ("/pilotage", "/runs")),
        (ONE, "/pilotage", ("/pilotage", "/")),
        (ONE, "/pilotage/", ("/pilotage", "/")),
        (ONE, "/", ("/pilotage", "/")),
        (ONE, "", ("/pilotage", "/")),
        (ONE, "/pilotages/runs", ("/pilotage", "/pilotages/runs")),
        (ONE, "//pilotage/runs", ("/pilotage", "//pilotage/runs")),
        (ONE, "/pilotage/pilotage/runs", ("/pilotage", "/pilotage/runs")),
        (ONE, "/Pilotage/runs", ("/pilotage", "/Pilotage/runs")),
        (OWN_PATH_FOR_HOOKS, "/webhooks/github", ("/hooks", "/webhooks/github")),
        (OWN_PATH_FOR_HOOKS, "/hooks/webhooks/github", ("/hooks", "/webhooks/github")),
        (OWN_PATH_FOR_HOOKS, "/pilotage/webhooks/github", ("/pilotage", "/webhooks/github")),
        (NONE_FOR_HOOKS, "/webhooks/github", ("", "/webhooks/github")),
        (NONE_FOR_HOOKS, "/pilotage/webhooks/github", ("/pilotage", "/webhooks/github")),
        (NESTED, "/tools/ci/webhooks/github", ("/tools/ci", "/webhooks/github")),
        (NESTED, "/tools/webhooks/github", ("/tools", "/webhooks/github")),
    ],
)
def test_where_a_request_leads(roots: Sequence[str], path: str, place: tuple[str, str]) -> None:
    app = App()
    environ = {"PATH_INFO": path, "SCRIPT_NAME": "/of/somebody"}
    assert Rooted(app, roots)(environ, None) == [b"answer"]
    assert app.asked == [place]


def test_no_header_says_where_we_are() -> None:
    app = App()
    Rooted(app, ONE)({"PATH_INFO": "/runs", "HTTP_X_FORWARDED_PREFIX": "/evil", "HTTP_SCRIPT_NAME": "/evil"}, None)
    assert app.asked == [("/pilotage", "/runs")]


def test_what_is_answered_at_once_may_come_with_each_path() -> None:
    app = App()
    rooted = RootedAtOnce(app, OWN_PATH_FOR_HOOKS)
    assert rooted.paths == {f"{root}{path}" for root in ("", "/hooks", "/pilotage") for path in app.paths}
    for root in ("/hooks", "/pilotage"):
        rooted.begin({"PATH_INFO": f"{root}/webhooks/gitlab"})
    rooted.flush()
    assert app.asked == [("/hooks", "/webhooks/gitlab"), ("/pilotage", "/webhooks/gitlab")]
    assert app.flushed == 1
