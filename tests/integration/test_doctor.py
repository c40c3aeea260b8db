"""``pilotage doctor`` before the first app is configured."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.cli import doctor
from orchestrator.domain.errors import Refused
from tests.support.factories import make_settings
from tests.support.loopback import Asked, Reply, loopback


@pytest.mark.parametrize(
    ("harbor", "status", "said"),
    [
        (True, 200, "answers, and takes the login of robot$ci"),
        (True, 404, "answers, and takes the login of robot$ci"),
        (True, 401, "robot$ci: project library: HTTP 401"),
        (False, 401, "answers; whether it takes our login shows once an app is configured"),
    ],
)
def test_without_apps_the_login_of_the_registry_is_proven_all_the_same(
    tmp_path: Path, harbor: bool, status: int, said: str
) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(200 if asked.path == "/v2/" else status)

    with loopback(answer) as server:
        settings = make_settings(str(tmp_path))
        registry = replace(settings.registry, url=server.url, harbor=harbor)
        settings = replace(settings, apps=(), registry=registry)
        (check,) = [one for one in doctor._checks(settings) if one.section == "registry"]
        try:
            found = check.ask()
        except Refused as refusal:
            found = refusal.evidence
    assert found == said
