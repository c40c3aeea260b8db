"""What Git and Argo CD were seen to say, how sure that still is, and apart from what runs have proven."""

from typing import Any

import pytest

from orchestrator.domain.runs import RunState
from orchestrator.services.app_views import EnvironmentStatus, app_view
from orchestrator.services.glance_views import STALE, Seen
from orchestrator.store.glances import LastLook
from orchestrator.web.answers import AppView
from tests.support.factories import NOW, later, make_app, make_run, make_settings

SETTINGS = make_settings("/nowhere")
GIT = {
    "values": "web/values-stg.yaml",
    "key": "image.tag",
    "value": "sha-2",
    "commit": "c" * 40,
    "author": "Ann",
    "at": "2026-11-24T17:00:00+09:00",
    "run": 12,
    "fault": "",
}
ARGO = {"argocd": "plate-web-stg", "sync": "Synced", "health": "Progressing", "syncing": False, "live": ["sha-2"]}
JUST_NOW = LastLook(seen_at=later(-10).timestamp())


def shown(git: Seen | None = None, argocd: Seen | None = None, **known: Any) -> dict[str, Any]:
    status = EnvironmentStatus(git=git or Seen(), argocd=argocd or Seen(), **known)
    view = app_view(make_app(), SETTINGS, {"stg": status}, NOW)
    AppView.model_validate(view)
    return dict(view["environments"][0])


def test_a_deploy_that_succeeded_and_the_health_of_now_are_two_facts() -> None:
    done = make_run(state=RunState.SUCCEEDED)
    env = shown(argocd=Seen(facts=ARGO, look=JUST_NOW), last=done, deployed=done)
    assert (env["last_run"]["state"], env["argocd_now"]["health"]) == ("succeeded", "Progressing")


def test_what_git_has_is_shown_with_its_commit_and_when_it_was_seen() -> None:
    git = shown(git=Seen(facts=GIT, look=JUST_NOW))["git_now"]
    assert git == {
        "value": "sha-2",
        "commit": "c" * 40,
        "commit_url": f"https://git.example.com/platform/gitops/commit/{'c' * 40}",
        "author": "Ann",
        "since": "2026-11-24T08:00:00.000Z",
        "run": 12,
        "by_pilotage": True,
        "seen_at": "2026-11-24T08:59:50.000Z",
        "current": True,
        "trouble": "",
    }


@pytest.mark.parametrize(
    ("changed", "by_pilotage"), [({}, True), ({"run": None}, False), ({"run": None, "commit": ""}, None)]
)
def test_whose_a_value_is_follows_from_its_commit(changed: dict[str, Any], by_pilotage: bool | None) -> None:
    assert shown(git=Seen(facts=GIT | changed, look=JUST_NOW))["git_now"]["by_pilotage"] is by_pilotage


@pytest.mark.parametrize(
    "at", ["", "%cI", "2024-02-31T00:00:00Z", "9999-12-31T17:46:40-09:00", "0001-01-01T00:00:00+09:00"]
)
def test_a_commit_may_say_that_it_was_made_at_no_time(at: str) -> None:
    """Whoever makes it chooses; one such commit took the whole list of apps from everybody."""
    assert shown(git=Seen(facts=GIT | {"at": at}, look=JUST_NOW))["git_now"]["since"] is None


NOT_YET = "Nobody has looked yet; the relay does so every 15 s."
NO_MORE = "Nobody has looked since then; see whether the relay runs and reaches the database."


@pytest.mark.parametrize(
    ("facts", "look", "trouble", "seen"),
    [
        (ARGO, JUST_NOW, "", True),
        (None, LastLook(), NOT_YET, False),
        (None, JUST_NOW, NOT_YET, False),
        (None, LastLook(trouble="Argo CD is away."), "Argo CD is away.", False),
        (ARGO, LastLook(seen_at=later(-60).timestamp(), trouble="Argo CD is away."), "Argo CD is away.", True),
        (ARGO, LastLook(seen_at=later(-STALE - 1).timestamp()), NO_MORE, True),
        (ARGO | {"fault": "there is no application"}, JUST_NOW, "there is no application", True),
        (ARGO | {"argocd": "of-before"}, JUST_NOW, NOT_YET, False),
    ],
)
def test_what_may_be_otherwise_by_now_is_not_current(
    facts: dict[str, Any] | None, look: LastLook, trouble: str, seen: bool
) -> None:
    argo = shown(argocd=Seen(facts=facts, look=look))["argocd_now"]
    assert (argo["current"], argo["trouble"], argo["seen_at"] is not None) == (not trouble, trouble, seen)


@pytest.mark.parametrize("changed", [{"values": "web/other.yaml"}, {"key": "other.tag"}])
def test_what_was_read_elsewhere_than_is_configured_now_does_not_count(changed: dict[str, str]) -> None:
    git = shown(git=Seen(facts=GIT | changed, look=JUST_NOW))["git_now"]
    assert (git["value"], git["current"]) == ("", False)


@pytest.mark.parametrize("at", ["", "yesterday", None])
def test_a_time_that_cannot_be_read_is_left_out(at: str | None) -> None:
    assert shown(git=Seen(facts=GIT | {"at": at}, look=JUST_NOW))["git_now"]["since"] is None
