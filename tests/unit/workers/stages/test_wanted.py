"""What a change is worded by, so that one that another configuration has worded is known."""

from dataclasses import replace

import pytest

from orchestrator.domain.apps import Registry, Settings
from orchestrator.domain.runs import StageName
from tests.support.deploying import order
from tests.support.factories import make_app, make_environment, make_settings
from tests.support.registries import DIGEST, TAG
from workers.stages.wanted import IMAGE_TRAILER, change_of, form_of, image_in


def configured(image: str = "plate/plate-web", registry: str = "https://harbor.example.com", **keys: str) -> Settings:
    app = make_app(image=image, environments=(make_environment(**keys),))
    return replace(make_settings("/state"), apps=(app,), registry=Registry(url=registry))


@pytest.mark.parametrize(
    "other",
    [
        {"values": "elsewhere.yaml"},
        {"key": "web.tag"},
        {"value": "image"},
        {"digest_key": "image.digest"},
        {"repository_key": "image.repository"},
        {"image": "plate/web"},
        {"registry": "https://new.example.com"},
    ],
)
def test_every_key_that_a_change_is_made_of_tells_two_configurations_apart(other: dict[str, str]) -> None:
    now, then = (form_of(settings, "plate-web", "stg") for settings in (configured(**other), configured()))
    assert now != then


def test_what_a_change_is_not_made_of_makes_no_odds() -> None:
    other = configured(argocd="plate-web-eu", branch="release")
    assert form_of(other, "plate-web", "stg") == form_of(configured(), "plate-web", "stg")


@pytest.mark.parametrize("version", [f":{TAG}", f"@{DIGEST}"])
def test_the_image_of_a_change_is_told_from_its_trailer(version: str) -> None:
    image = f"harbor.example.com/plate/plate-web{version}"
    change = change_of(order(StageName.COMMIT, image=image, environment_value="image"))
    assert image_in(change) == image
    assert dict(change.trailers)[IMAGE_TRAILER].endswith(f"{version.partition('@')[0]}@{DIGEST}")


@pytest.mark.parametrize(("app", "environment"), [("gone", "stg"), ("plate-web", "gone")])
def test_what_is_not_configured_has_no_form(app: str, environment: str) -> None:
    assert form_of(configured(), app, environment) == ""
