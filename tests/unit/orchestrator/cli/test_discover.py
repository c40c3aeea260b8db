"""What ``pilotage discover`` prints is YAML that says what was found."""

from typing import Any

import pytest
import yaml

from orchestrator.cli import discover

PLACE = {"name": "stg", "branch": "main", "values": "web/values-stg.yaml", "argocd": "web-stg"}
APP = {"name": "web", "repo": "https://git.example.com/acme/web.git", "image": "plate/web", "environments": [PLACE]}


def printed(app: dict[str, Any]) -> Any:
    return yaml.safe_load("\n".join(discover._lines(app)))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"sync": True, "approval": "required"},
        {"values": "웹/값 #1.yaml"},
        {"name": "on"},
        {"name": "1"},
        {"key": 'apps."a.b".image.tag'},
        {"argocd": "web: stg"},
    ],
    ids=str,
)
def test_whatever_a_name_holds_it_is_read_as_written(more: dict[str, Any]) -> None:
    app = APP | {"environments": [PLACE, PLACE | more]}
    assert printed(app) == [app]


def test_a_repository_that_no_image_tells_of_is_left_to_be_filled_in() -> None:
    assert printed(APP | {"repo": ""}) == [APP | {"repo": None}]


def test_what_nothing_deploys_to_says_what_could() -> None:
    place = {name: value for name, value in PLACE.items() if name != "branch"}
    assert list(discover._lines(APP | {"environments": [place]}))[-1].startswith(
        "        # add branch, tag or promote_from"
    )
