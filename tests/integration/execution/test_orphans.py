"""What a new configuration leaves behind is told, with what becomes of it."""

from dataclasses import replace

import pytest

from orchestrator.domain.apps import App, Channel
from orchestrator.domain.runs import StageName
from orchestrator.services import orphans as found_by
from orchestrator.services.orphans import orphans
from orchestrator.store.database import now
from tests.support.executing import Workshop, two_environments
from tests.support.factories import make_app, make_environment, make_settings

BACK = "unless you put {0} back or name it in `former_names` of what it is called now"
RUN = "{0}, and {1} is not configured: it ends as `app_removed` in {2}, " + BACK.replace("{0}", "{1}") + "."
HOLD = "{0} is on hold by mina (a fair), and is not configured: the hold stops nothing, " + BACK
MESSAGE = (
    "1 message waits for ops, which is no destination of the configuration: it is given up a day after being written,"
    " unless one has that `name` by then."
)


def told(workshop: Workshop, **fields: object) -> list[str]:
    """What a process says that starts with another configuration."""
    with workshop.database.read() as connection:
        return orphans(connection, make_settings("/s", **fields))


def test_where_everything_is_configured_nothing_is_told(workshop: Workshop) -> None:
    workshop.push(1)
    workshop.control.hold("plate-web", "stg", "a fair", "mina")
    assert told(workshop) == []


def test_runs_are_named_by_what_they_wait_for(workshop: Workshop) -> None:
    two_environments(workshop, approval=True)
    workshop.push(1)
    workshop.finish(workshop.until(1, StageName.BUILD, digest="sha256:1"))
    workshop.finish(workshop.begin(2))
    workshop.push(2)
    other = (make_app("api"),)
    assert told(workshop, apps=other) == [
        RUN.format("Run 2 of plate-web/prod waits for approval", "plate-web/prod", "the next hour"),
        RUN.format("Run 3 of plate-web/stg is under way", "plate-web/stg", "the next minutes"),
    ]


def test_many_runs_are_counted(workshop: Workshop) -> None:
    for number in range(1, 9):
        workshop.push(number)
    said = told(workshop, apps=(make_app(environments=(make_environment("eu"),)),))
    assert [one.partition(", and plate")[0] for one in said] == [
        "Runs 1, 2, 3, 4, 5 and 3 more of plate-web/stg are under way"
    ]


def test_what_is_under_a_former_name_is_not_left_behind(workshop: Workshop) -> None:
    workshop.push(1)
    workshop.control.hold("plate-web", "stg", "a fair", "mina")
    assert told(workshop, apps=(make_app("web", former_names=("plate-web",)),)) == []


def test_a_hold_is_named_with_who_set_it_and_how_it_ends(workshop: Workshop) -> None:
    workshop.control.hold("plate-web", "stg", "a fair", "mina")
    ends = "; `pilotage app release plate-web stg` ends it."
    assert told(workshop, apps=(make_app("api"),)) == [HOLD.format("plate-web/stg") + ends]


HISTORY = (
    "plate-web/stg is not configured, and {0} makes its image: if it has another name now, put the old one into"
    " `former_names` there, or the order of commits, holds and what was proven begin anew."
)
IMAGE = make_app().image


@pytest.mark.parametrize(
    ("app", "said"),
    [
        (make_app("web", image=IMAGE), [HISTORY.format("web")]),
        (make_app(environments=(make_environment("test"),)), [HISTORY.format("plate-web")]),
        (make_app("web"), []),
        (make_app("web", image=IMAGE, former_names=("plate-web",)), []),
    ],
    ids=["app", "environment", "another app", "with its former name"],
)
def test_a_history_that_another_name_could_go_on_with_is_named(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, app: App, said: list[str]
) -> None:
    workshop.push(1)
    workshop.finish(workshop.until(1, StageName.BUILD, image=f"harbor.example.com/{IMAGE}:sha-1"))
    assert told(workshop, apps=(app,)) == said
    later = now() + 8 * 86400
    monkeypatch.setattr(found_by, "clock", lambda: later)
    assert told(workshop, apps=(app,)) == [], "what is retired is not named for ever"


def test_messages_are_counted_by_their_destination(workshop: Workshop) -> None:
    ops = Channel(name="ops", kind="webhook", url="https://ops.example.com")
    workshop.use(make_settings("/s", channels=(ops,)))
    workshop.push(1)
    workshop.begin(1)
    assert told(workshop, channels=(ops,)) == []
    assert told(workshop, channels=(replace(ops, name="team", former_names=("ops",)),)) == []
    assert told(workshop, channels=(replace(ops, name="team"),)) == [MESSAGE]
