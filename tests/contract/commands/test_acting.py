"""What acts on runs and environments, and says what follows."""

import json
from typing import Any

import pytest

from tests.support.commands import RUN_URL, Pilotage
from tests.support.fake_api import FakeApi, problem
from tests.support.loopback import Reply


@pytest.mark.parametrize(
    ("arguments", "path", "body", "number"),
    [
        (("run", "rerun", "42", "--from", "build"), "/runs/42/rerun", {"from": "build"}, 43),
        (("run", "cancel", "42"), "/runs/42/cancel", {}, 42),
        (("run", "approve", "42"), "/runs/42/approve", {}, 42),
        (
            ("app", "rollback", "plate-web", "prod", "--to", "17"),
            "/apps/plate-web/environments/prod/rollback",
            {"to": 17},
            43,
        ),
        (("app", "promote", "plate-web", "prod"), "/apps/plate-web/environments/prod/promote", {}, 43),
    ],
)
def test_what_acts_on_runs_prints_the_run(
    pilotage: Pilotage, api: FakeApi, arguments: tuple[str, ...], path: str, body: dict[str, object], number: int
) -> None:
    api.answers[f"POST {path}"] = Reply(status=202, body={"id": number, "url": RUN_URL} if number == 43 else {})

    said = pilotage(*arguments, "--url", api.url)

    assert said.code == 0
    assert said.out.startswith(f"run {number} http")
    assert api.asked("POST", path)[0].json() == body


@pytest.mark.parametrize(("verb", "said"), [("cancel", "It is asked to stop."), ("approve", "It is approved.")])
def test_what_changes_a_run_says_what_it_did(pilotage: Pilotage, api: FakeApi, verb: str, said: str) -> None:
    api.answers[f"POST /runs/42/{verb}"] = Reply(status=202, body={"id": 42, "url": RUN_URL})

    assert pilotage("run", verb, "42", "--url", api.url).lines == [f"run 42 {RUN_URL}", said]


@pytest.mark.parametrize(
    ("in_git", "undo"),
    [
        ({"run": 43, "proven": True, "verdict": {"id": 41}}, "pilotage app rollback plate-web prod --to 41"),
        ({"run": 42, "proven": False, "verdict": {"id": 42}}, "pilotage run rerun 42"),
    ],
)
def test_a_rollback_tells_how_to_undo_it(pilotage: Pilotage, api: FakeApi, in_git: dict[str, Any], undo: str) -> None:
    places = [{"name": "stg", "in_git": None}, {"name": "prod", "in_git": in_git}]
    api.answers["GET /apps/plate-web"] = Reply(body={"name": "plate-web", "environments": places})
    api.answers["POST /apps/plate-web/environments/prod/rollback"] = Reply(
        status=202, body={"id": 44, "url": RUN_URL}
    )
    arguments = ("app", "rollback", "plate-web", "prod", "--url", api.url)

    assert pilotage(*arguments).lines == [f"run 44 {RUN_URL}", f"To undo it: `{undo}`."]
    assert json.loads(pilotage(*arguments, "-o", "json").out)["id"] == 44


def test_a_run_that_cannot_be_repeated_now_exits_2(pilotage: Pilotage, api: FakeApi) -> None:
    api.answers["POST /runs/42/rerun"] = problem(409, "run 42 is still running")

    said = pilotage("run", "rerun", "42", "--url", api.url)

    assert (said.code, said.err) == (2, "pilotage: Not possible (HTTP 409): run 42 is still running.\n")


def test_hold_and_release_say_what_follows(pilotage: Pilotage, api: FakeApi) -> None:
    base = "/apps/plate-web/environments/prod"
    api.answers[f"POST {base}/hold"] = Reply(body={"hold": {"reason": "freeze"}})
    api.answers[f"POST {base}/release"] = Reply(status=204)

    held = pilotage("app", "hold", "plate-web", "prod", "--reason", "freeze", "--url", api.url)
    released = pilotage("app", "release", "plate-web", "prod", "--url", api.url)

    assert held.out == "plate-web/prod is on hold; let it go on with `pilotage app release plate-web prod`.\n"
    assert released.out == "plate-web/prod is released.\n"
    assert api.asked("POST", f"{base}/hold")[0].json() == {"reason": "freeze"}


def test_a_hold_that_takes_the_place_of_another_says_whose(pilotage: Pilotage, api: FakeApi) -> None:
    held = {"name": "prod", "hold": {"reason": "release freeze", "by": "mina"}}
    api.answers["GET /apps/plate-web"] = Reply(body={"environments": [held]})
    api.answers["POST /apps/plate-web/environments/prod/hold"] = Reply(body={"hold": "mine"})

    said = pilotage("app", "hold", "plate-web", "prod", "--reason", "mine", "--url", api.url)

    assert said.code == 0
    assert said.err == "It was already, by mina: release freeze. This replaces that.\n"


@pytest.mark.parametrize(("hold", "said"), [({"reason": "freeze"}, "is released"), (None, "was not on hold")])
def test_a_release_says_whether_there_was_a_hold(
    pilotage: Pilotage, api: FakeApi, hold: dict[str, str] | None, said: str
) -> None:
    places = [{"name": "stg", "hold": None}, {"name": "prod", "hold": hold}]
    api.answers["GET /apps/plate-web"] = Reply(body={"environments": places})
    api.answers["POST /apps/plate-web/environments/prod/release"] = Reply(status=204)

    released = pilotage("app", "release", "plate-web", "prod", "--url", api.url)

    assert released.out == f"plate-web/prod {said}.\n"


@pytest.mark.parametrize(
    ("found", "code", "out", "err"),
    [
        ({"runs": [17, 18], "branches": ["main", "dev"]}, 0, "run 17 started\nrun 18 started\n", ""),
        ({"branches": ["main"]}, 0, "plate-web: nothing has moved without being known (main).\n", ""),
        (
            {"branches": ["main"], "missing": ["dev"]},
            0,
            "plate-web: nothing has moved without being known (main).\nplate-web: not there: dev.\n",
            "",
        ),
        ({"problem": "The token has expired."}, 1, "", "pilotage: plate-web: The token has expired.\n"),
        (
            {"problem": "It is gone.", "runs": [8]},
            1,
            "run 8 started\n",
            "pilotage: plate-web: It is gone.\n",
        ),
    ],
)
def test_a_poll_says_what_came_of_it(
    pilotage: Pilotage, api: FakeApi, found: dict[str, Any], code: int, out: str, err: str
) -> None:
    api.answers["POST /apps/plate-web/poll"] = Reply(status=202, body={"app": "plate-web"})
    api.answers["GET /apps/plate-web"] = Reply(body={"poll": {"done_at": "2026-11-24T09:00:00Z", **found}})

    said = pilotage("app", "poll", "plate-web", "--url", api.url)

    assert (said.code, said.out, said.err) == (code, out, err)
    assert len(api.asked("POST", "/apps/plate-web/poll")) == 1
