"""What ``pilotage discover`` prints is YAML that says what was found; what it cannot tell, the check names."""

from typing import Any

import pytest
import yaml

from orchestrator.cli import discover
from tests.support.configs import VALID, look
from workers.gitops.discovery import LeftOut

STG = {"name": "stg", "branch": "main", "values": "web/values-stg.yaml", "argocd": "web-stg"}
APP = {"name": "web", "repo": "https://git.example.com/acme/web.git", "image": "plate/web", "environments": [STG]}


def printed(apps: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    discover._tell(apps, [], [LeftOut(application="root", why="it reads no values file of x")], 2)
    said = capsys.readouterr()
    return said.out, said.err


@pytest.mark.parametrize(
    "more", [{}, {"sync": True}, {"values": "웹/값 #1.yaml"}, {"name": "on"}, {"name": "1"}], ids=str
)
def test_whatever_a_name_holds_it_is_read_as_written(
    more: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    apps = [APP | {"environments": [STG, STG | more]}]
    out, err = printed(apps, capsys)
    assert yaml.safe_load(out) == {"apps": apps}
    assert err == (
        "left out: root: it reads no values file of x\n"
        "1 app with 2 environments found; 2 environments configured already.\n"
    )


def test_where_nothing_was_found_nothing_is_printed_but_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed([], capsys)[0] == ""


def test_what_could_not_be_told_is_named_by_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    unknown = {name: value for name, value in STG.items() if name != "branch"}
    out, _ = printed([APP | {"repo": None, "environments": [unknown]}], capsys)
    found = look(VALID[: VALID.index("apps:")] + out)
    assert {problem.path for problem in found.problems} == {"apps[0].repo", "apps[0].environments[0]"}
