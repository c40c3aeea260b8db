"""The endpoint under a path, as ``https://tools.example.com/pilotage/webhooks/github``."""

from collections.abc import Sequence

import pytest

from orchestrator.at_once import AT_ONCE
from tests.support.hooks import FakeInbox, make_app, own_case

CASE = own_case("github", "push-branch")


@pytest.mark.parametrize(
    ("roots", "path", "instance"),
    [
        (("/pilotage", "/pilotage"), "/pilotage/webhooks/github", "/pilotage/webhooks/github"),
        (("/pilotage", "/pilotage"), "/webhooks/github", "/pilotage/webhooks/github"),
        (("/ci", "/pilotage"), "/ci/webhooks/github/", "/ci/webhooks/github/"),
        (("/ci", "/pilotage"), "/webhooks/github", "/ci/webhooks/github"),
        (("", "/pilotage"), "/webhooks/github", "/webhooks/github"),
        (("", ""), "/webhooks/github", "/webhooks/github"),
        (("/ci", "/pilotage"), "/ci/webhooks/sourceforge", "/ci/webhooks/sourceforge"),
        (("/ci", "/pilotage"), "/ci/webhooks/slack", "/ci/webhooks/slack"),
    ],
)
def test_under_a_path_hooks_are_taken_with_and_without_it(roots: Sequence[str], path: str, instance: str) -> None:
    client = make_app(FakeInbox(), roots=roots).test_client()
    if path.rstrip("/").endswith("github"):
        assert client.post(path, data=CASE.body, headers=CASE.headers()).status_code == 202
    assert client.post(path, data=b"{}", headers=CASE.headers()).json["instance"] == instance
    for probe in ("/healthz", f"{roots[0]}/healthz", f"{roots[1]}/readyz"):
        assert client.get(probe).status_code == 200


def test_under_a_path_no_other_one_is_taken() -> None:
    client = make_app(FakeInbox(), roots=("/ci", "/pilotage")).test_client()
    for path in ("/cis/webhooks/github", "/x/webhooks/github", "/ci/pilotage/webhooks/github"):
        assert client.post(path, data=CASE.body, headers=CASE.headers()).status_code == 404


def test_at_the_top_nothing_stands_before_the_endpoint() -> None:
    for roots in ((), ("", "")):
        app = make_app(FakeInbox(), roots=roots)
        assert app.wsgi_app is app.extensions[AT_ONCE]
        assert type(app.wsgi_app).__name__ == "_Front"
