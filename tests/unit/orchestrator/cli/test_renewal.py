"""What is said of a configuration that is taken anew."""

from dataclasses import replace

import pytest

from orchestrator.cli.renewal import difference
from orchestrator.domain.apps import App, Secret, Settings
from tests.support.factories import make_app, make_settings

WEB, API, JOBS = (make_app(name=name) for name in ("plate-web", "plate-api", "plate-jobs"))


def settings(*apps: App, **others: object) -> Settings:
    return replace(make_settings("/state"), apps=apps, **others)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (settings(WEB, API), "nothing has changed"),
        (settings(API, WEB), "nothing has changed"),
        (settings(WEB, API, JOBS), "new: plate-jobs"),
        (settings(API), "gone: plate-web"),
        (settings(replace(WEB, image="other"), replace(API, image="other")), "changed: plate-web, plate-api"),
        (settings(JOBS, API), "new: plate-jobs; gone: plate-web"),
        (settings(WEB, API, concurrency=7), "other settings changed"),
        (settings(WEB, API, session_key=Secret("another")), "other settings changed"),
        (settings(WEB, API, warnings=("one",)), "nothing has changed"),
    ],
)
def test_the_difference_of_two_configurations(new: Settings, said: str) -> None:
    assert difference(settings(WEB, API), new) == said
