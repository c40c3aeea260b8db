"""Starting a run, and waiting for it."""

import json

import pytest

from tests.support.commands import RUN_URL, Pilotage
from tests.support.fake_api import FakeApi, run
from tests.support.loopback import Reply


def test_starting_prints_number_and_address_at_once(pilotage: Pilotage, api: FakeApi) -> None:
    api.answers["POST /runs"] = Reply(status=202, body={"id": 42, "url": RUN_URL, "state": "queued"})

    said = pilotage("run", "start", "plate-web", "stg", "--ref", "main", "--url", api.url)

    assert (said.code, said.out) == (0, f"run 42 {RUN_URL}\n")
    asked = api.asked("POST", "/runs")[0]
    assert asked.json() == {"app": "plate-web", "environment": "stg", "ref": "main"}
    assert len(asked.headers["idempotency-key"]) == 36


def test_starting_and_waiting_exits_with_the_runs_result(pilotage: Pilotage, api: FakeApi) -> None:
    api.answers["POST /runs"] = Reply(status=202, body={"id": 42, "url": RUN_URL, "state": "queued"})
    api.runs[42] = run(ending="failed")

    said = pilotage(
        "run", "start", "plate-web", "stg", "--image", "v1", "--idempotency-key", "k", "--wait", "--url", api.url
    )

    assert (said.code, said.lines[0], said.lines[-1]) == (1, f"run 42 {RUN_URL}", RUN_URL)
    assert api.asked("POST", "/runs")[0].headers["idempotency-key"] == "k"


def test_starting_with_json_prints_only_json(pilotage: Pilotage, api: FakeApi) -> None:
    api.answers["POST /runs"] = Reply(status=202, body={"id": 42, "url": "", "state": "queued"})
    api.runs[42] = run(ending="succeeded")
    start = ("run", "start", "plate-web", "stg", "--ref", "main", "-o", "json", "--url", api.url)

    assert json.loads(pilotage(*start).out)["state"] == "queued"
    assert json.loads(pilotage(*start, "--wait").out)["state"] == "succeeded"


APPS = {
    "items": [
        {"name": "one", "environments": [{"name": "stg", "branch": "main"}]},
        {"name": "two", "environments": [{"name": "stg", "branch": "release/*"}, {"name": "prod", "branch": ""}]},
    ]
}


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (("one",), {"app": "one", "environment": "stg", "ref": "main"}),
        (("one", "--commit", "a" * 40), {"app": "one", "environment": "stg", "commit": "a" * 40}),
        (("one", "--commit", "A" * 40), {"app": "one", "environment": "stg", "commit": "a" * 40}),
        (("two", "prod", "--ref", "v1"), {"app": "two", "environment": "prod", "ref": "v1"}),
    ],
)
def test_starting_fills_in_what_the_configuration_makes_clear(
    pilotage: Pilotage, api: FakeApi, arguments: tuple[str, ...], body: dict[str, str]
) -> None:
    api.answers["GET /apps"] = Reply(body=APPS)
    api.answers["POST /runs"] = Reply(status=202, body={"id": 1, "url": ""})

    assert pilotage("run", "start", *arguments, "--url", api.url).out == f"run 1 {api.url}/runs/1\n"
    assert api.asked("POST", "/runs")[0].json() == body


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("three",), "There is no app `three`; known are one, two."),
        (("two",), "Name an environment of `two`: stg, prod."),
        (("two", "stage"), "There is no environment `stage`; known are prod, stg."),
        (("two", "stg"), "`stg` follows no single branch; give --ref, --commit or --image."),
        (("one", "stg", "--ref", "a", "--image", "b"), "Give only one of --ref, --commit and --image."),
        (("one", "stg", "--ref", ""), "--ref is empty; give it a value, or leave it out."),
        (("one", "stg", "--commit", ""), "--commit is empty; give it a value, or leave it out."),
        (("one", "stg", "--image", " "), "--image is empty; give it a value, or leave it out."),
        (
            ("one", "stg", "--commit", "a1b2c3d"),
            "Give --commit the full 40 digits of the commit; `git rev-parse` prints them.",
        ),
    ],
)
def test_starting_without_enough_exits_2(
    pilotage: Pilotage, api: FakeApi, arguments: tuple[str, ...], sentence: str
) -> None:
    api.answers["GET /apps"] = Reply(body=APPS)

    said = pilotage("run", "start", *arguments, "--url", api.url)

    assert (said.code, said.err) == (2, f"pilotage: {sentence}\n")
    assert api.asked("POST", "/runs") == []
