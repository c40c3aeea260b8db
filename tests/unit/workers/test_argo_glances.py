"""One list per interval tells people what Argo CD says, whoever asked for it."""

import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.apps import Settings
from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.masking import Mask
from orchestrator.domain.reasons import Reason
from orchestrator.services.glances import Glances
from orchestrator.services.queries import Queries
from orchestrator.store.database import Database
from tests.support.factories import make_app, make_settings
from tests.support.journals import Logged
from workers.argo_glances import EVERY, OFTEN, ArgoGlances

STOP = threading.Event()
AWAY = Unavailable(Reason.ARGOCD_UNAVAILABLE, "no answer from s3cret-harbor")


class ListedApplications:
    """An Argo CD with one application, and a clock that stands still."""

    def __init__(self) -> None:
        self.health = "Healthy"
        self.lists = 0
        self.trouble: PilotageError | None = None
        self.at = 1000.0

    def steady(self) -> float:
        return self.at

    def applications(self, *_: object) -> list[dict[str, Any]]:
        self.lists += 1
        if self.trouble is not None:
            raise self.trouble
        return self.all()

    def all(self) -> list[dict[str, Any]]:
        return [{"metadata": {"name": "plate-web-stg"}, "status": {"health": {"status": self.health}}}]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(str(tmp_path), apps=(make_app(),))


@pytest.fixture
def argo() -> ListedApplications:
    return ListedApplications()


@pytest.fixture
def looking(argo: ListedApplications, database: Database, settings: Settings) -> ArgoGlances:
    glances = Glances(database, settings, Mask(["s3cret-harbor"]))
    return ArgoGlances(argo, glances, settings, argo.steady)  # type: ignore[arg-type]


@pytest.fixture
def shown(database: Database, settings: Settings) -> Any:
    def show() -> dict[str, Any]:
        return dict(Queries(database, settings).apps()[0]["environments"][0]["argocd_now"])

    return show


def test_what_argo_cd_says_is_shown_until_it_says_something_else(
    argo: ListedApplications, looking: ArgoGlances, shown: Any
) -> None:
    assert (shown()["health"], shown()["current"]) == ("", False)
    for health in ("Healthy", "Progressing"):
        argo.health = health
        assert looking.once(STOP) == EVERY
        assert (shown()["health"], shown()["current"]) == (health, True)
        argo.at += EVERY


def test_a_list_that_somebody_else_made_counts(argo: ListedApplications, looking: ArgoGlances, shown: Any) -> None:
    looking.listed(argo.all())
    argo.at += EVERY / 3
    assert looking.once(STOP) == EVERY * 2 / 3
    assert (argo.lists, shown()["health"]) == (0, "Healthy")


def test_lists_that_come_often_are_written_down_now_and_then(
    argo: ListedApplications, looking: ArgoGlances, shown: Any
) -> None:
    looking.listed(argo.all())
    argo.health, argo.at = "Degraded", argo.at + OFTEN / 2
    looking.listed(argo.all())
    assert shown()["health"] == "Healthy"
    argo.at += OFTEN
    looking.listed(argo.all())
    assert shown()["health"] == "Degraded"


def test_what_is_not_known_any_more_is_said_with_why_and_what_was(
    argo: ListedApplications, looking: ArgoGlances, shown: Any, logged: Logged
) -> None:
    looking.once(STOP)
    before = shown()
    argo.trouble = AWAY
    for _ in range(3):
        argo.at += EVERY
        assert looking.once(STOP) == EVERY
    said = "Argo CD did not answer: no answer from ***."
    assert shown() == before | {"current": False, "trouble": said}
    argo.at, argo.trouble = argo.at + EVERY, Refused(Reason.ARGOCD_UNAUTHORIZED, "")
    looking.once(STOP)
    told = [line["reason"] for line in logged.of("applications not listed")]
    assert told == ["argocd_unavailable", "argocd_unauthorized"]
    argo.at, argo.trouble = argo.at + EVERY, None
    looking.once(STOP)
    assert (shown()["current"], shown()["trouble"]) == (True, "")


def test_a_database_that_is_away_keeps_nobody_from_waking_runs(
    argo: ListedApplications, looking: ArgoGlances, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    def away(*_: object) -> None:
        raise Unavailable(Reason.DATABASE_UNAVAILABLE, "no connection")

    monkeypatch.setattr(Glances, "saw", away)
    looking.listed(argo.all())
    assert [line["reason"] for line in logged.of("applications not noted")] == ["database_unavailable"]


def test_without_apps_nobody_is_asked(argo: ListedApplications, database: Database, tmp_path: Path) -> None:
    settings = make_settings(str(tmp_path), apps=())
    looking = ArgoGlances(argo, Glances(database, settings, Mask([])), settings, argo.steady)  # type: ignore[arg-type]
    assert looking.once(STOP) > 0
    assert argo.lists == 0
