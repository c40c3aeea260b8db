"""What a change is worded by, so that one that another configuration has worded is known."""

from dataclasses import replace

import pytest

from orchestrator.domain.apps import Registry, Settings
from tests.support.factories import make_app, make_environment, make_settings
from workers.stages.wanted import form_of


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


@pytest.mark.parametrize(("app", "environment"), [("gone", "stg"), ("plate-web", "gone")])
def test_what_is_not_configured_has_no_form(app: str, environment: str) -> None:
    assert form_of(configured(), app, environment) == ""
