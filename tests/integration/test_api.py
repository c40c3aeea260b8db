"""The API over a real database: what each call takes and answers, and every kind of refusal."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState
from orchestrator.services.reconcile import Reconcile
from orchestrator.store import notifications
from orchestrator.web.answers import AppList, AppView, HoldState, PollAsked, RunDetail
from tests.support.databases import sqlite_database
from tests.support.factories import make_app, make_environment
from tests.support.web import AT, Web, make_web, problem

START = {"app": "plate-web", "environment": "stg", "ref": "main"}


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return make_web(sqlite_database(tmp_path), tmp_path)


# Starting, repeating, stopping


@pytest.mark.parametrize(
    "source",
    [{"ref": "main"}, {"commit": "b" * 40}, {"image": "v1.2.3"}],
)
def test_a_run_is_started_and_can_be_looked_up_at_once(web: Web, source: dict[str, str]) -> None:
    client = web.client()
    answer = client.post("/api/v1/runs", json={"app": "plate-web", "environment": "stg", **source})
    assert answer.status_code == 202
    body = answer.json
    assert body == {
        "id": 1,
        "url": "http://localhost/runs/1",
        "api_url": "http://localhost/api/v1/runs/1",
        "state": "queued",
        "attempt": 1,
    }
    assert answer.headers["Location"] == body["api_url"]
    run = client.get(body["api_url"]).json
    RunDetail.model_validate(run)
    assert (run["trigger"], run["actor"]) == ("manual", "deployer-token")
    assert {name: run[name] for name in source} == source


def test_an_image_is_named_by_its_digest_only_where_that_can_be_written(tmp_path: Path) -> None:
    places = [make_environment(value, value=value) for value in ("tag", "digest", "image")]
    client = make_web(sqlite_database(tmp_path), tmp_path, apps=(make_app(environments=tuple(places)),)).client()
    answers = {
        place.name: client.post(
            "/api/v1/runs", json={"app": "plate-web", "environment": place.name, "image": "sha256:" + "c" * 64}
        )
        for place in places
    }
    assert problem(answers["tag"], 422, "invalid")["detail"] == (
        "`image.tag` of tag gets a tag, and the image is named by its digest: name a tag of it, or set `value` of the"
        " environment to `digest` or `image`."
    )
    assert (answers["digest"].status_code, answers["image"].status_code) == (202, 202)
    assert len(client.get("/api/v1/runs").json["items"]) == 2


def test_links_begin_with_the_configured_address(tmp_path: Path) -> None:
    web = make_web(sqlite_database(tmp_path), tmp_path, external_url="https://pilotage.example.com")
    answer = web.client().post("/api/v1/runs", json=START)
    assert answer.json["url"] == "https://pilotage.example.com/runs/1"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ref": None, "commit": None}, ""),
        ({"commit": "b" * 40}, ""),
        ({"ref": None, "commit": "abc"}, "commit"),
        ({"ref": None, "image": "no such/tag"}, "image"),
        ({"app": None}, "app"),
        ({"app": 5}, "app"),
        ({"surprise": 1}, "surprise"),
        ({"app": "a\u0000b"}, "app"),
    ],
)
def test_a_start_that_is_not_exact_is_refused_with_the_field(web: Web, change: dict[str, Any], field: str) -> None:
    body = {name: value for name, value in {**START, **change}.items() if value is not None}
    told = problem(web.client().post("/api/v1/runs", json=body), 422, "invalid")
    assert field in [one["field"] for one in told["errors"]]
    assert {one["in"] for one in told["errors"]} == {"body"}
    assert web.client().get("/api/v1/runs").json["items"] == []


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        ({"app": "nosuch"}, 404, "not-found"),
        ({"environment": "nosuch"}, 404, "not-found"),
        ({"ref": "-x"}, 422, "invalid"),
    ],
)
def test_a_start_of_what_is_not_there_is_refused(web: Web, change: dict[str, str], status: int, kind: str) -> None:
    problem(web.client().post("/api/v1/runs", json={**START, **change}), status, kind)


def test_a_run_that_is_over_is_repeated_as_the_next_attempt(web: Web) -> None:
    first = web.run(RunState.FAILED)
    client = web.client()
    answer = client.post(f"/api/v1/runs/{first}/rerun", json={"from": "build"})
    assert answer.status_code == 202
    assert (answer.json["id"], answer.json["attempt"]) == (first + 1, 2)
    run = client.get(f"/api/v1/runs/{first + 1}").json
    assert (run["rerun_of"], run["trigger"], run["attempts"]) == (first, "rerun", [first, first + 1])


def test_while_an_attempt_is_active_there_is_no_other(web: Web) -> None:
    first = web.run(RunState.FAILED)
    client = web.client()
    second = client.post(f"/api/v1/runs/{first}/rerun").json["id"]
    told = problem(client.post(f"/api/v1/runs/{first}/rerun"), 409, "conflict")
    assert f"Run {second} is still queued" in told["detail"]
    problem(client.post(f"/api/v1/runs/{second}/rerun"), 409, "conflict")


@pytest.mark.parametrize("stage", ["nosuch", "", 5])
def test_a_repetition_from_an_unknown_stage_is_refused(web: Web, stage: object) -> None:
    run = web.run(RunState.FAILED)
    problem(web.client().post(f"/api/v1/runs/{run}/rerun", json={"from": stage}), 422, "invalid")


def test_a_run_is_cancelled_once(web: Web) -> None:
    client = web.client()
    run = web.run()
    answer = client.post(f"/api/v1/runs/{run}/cancel")
    assert (answer.status_code, answer.json["state"]) == (202, "cancelled")
    assert client.get(f"/api/v1/runs/{run}").json["sentence"] == "Cancelled by deployer-token."
    problem(client.post(f"/api/v1/runs/{run}/cancel"), 409, "conflict")


def test_a_run_that_waits_for_approval_is_approved(web: Web) -> None:
    run = web.run(RunState.WAITING, reason=Reason.AWAITING_APPROVAL, approved=False)
    assert web.client().post(f"/api/v1/runs/{run}/approve").status_code == 202
    problem(web.client().post(f"/api/v1/runs/{run}/approve"), 409, "conflict")
    shown = web.client("viewer").get(f"/api/v1/runs/{run}").json
    assert shown["approved_by"] == "deployer-token"
    assert shown["approved_at"].endswith("Z")
    assert web.client().get(f"/api/v1/runs/{web.run()}").json["approved_at"] is None


@pytest.mark.parametrize("call", ["rerun", "cancel", "approve"])
@pytest.mark.parametrize("run", ["99", "2147483648", "99999999999999999999", "-1", "x"])
def test_what_is_asked_of_no_run_is_not_found(web: Web, call: str, run: str) -> None:
    problem(web.client().post(f"/api/v1/runs/{run}/{call}"), 404, "not-found")


# Environments


def test_an_environment_is_held_and_released(web: Web) -> None:
    client = web.client()
    place = "/api/v1/apps/plate-web/environments/stg"
    answer = client.post(f"{place}/hold", json={"reason": "freeze"})
    assert answer.status_code == 202
    HoldState.model_validate(answer.json)
    held = client.get("/api/v1/apps/plate-web").json["environments"][0]["hold"]
    assert (held["reason"], held["by"]) == ("freeze", "deployer-token")
    assert client.post(f"{place}/release").json == {"app": "plate-web", "environment": "stg", "hold": None}
    assert client.get("/api/v1/apps/plate-web").json["environments"][0]["hold"] is None


def test_whoever_asks_for_a_poll_sees_what_came_of_it(web: Web) -> None:
    client, path = web.client(), "/api/v1/apps/plate-web"
    assert client.get(path).json["poll"] is None
    answer = client.post(f"{path}/poll")
    assert (answer.status_code, PollAsked.model_validate(answer.json).app) == (202, "plate-web")
    asked = client.get(path).json["poll"]
    assert (asked["asked_by"], asked["done_at"], asked["runs"]) == ("deployer-token", None, [])
    relay = Reconcile(web.database, web.settings)
    ((app, asked_at),) = relay.asked_polls().items()
    client.post(f"{path}/poll")  # somebody asks again while it is looked at
    relay.polled(app, asked_at, {"branches": ["main"], "missing": [], "runs": [7]})
    assert client.get(path).json["poll"]["done_at"] is None
    relay.polled(app, relay.asked_polls()[app], {"branches": ["main"], "missing": [], "runs": [7]})
    seen = AppView.model_validate(client.get(path).json).poll
    assert seen is not None
    assert (seen.branches, seen.runs, seen.problem, seen.done_at is not None) == (["main"], [7], "", True)
    assert relay.asked_polls() == {}


def test_an_app_whose_branches_cannot_be_read_says_so_until_they_can(web: Web) -> None:
    client, path, relay = web.client(), "/api/v1/apps/plate-web", Reconcile(web.database, web.settings)
    assert client.get(path).json["unread"] is None
    relay.looked({"plate-web": "The source repository refused our access."})
    seen = AppView.model_validate(client.get(path).json).unread
    assert seen is not None
    assert seen.problem == "The source repository refused our access."
    relay.looked({"plate-web": ""})
    assert client.get(path).json["unread"] is None


def test_only_an_app_with_a_branch_to_compare_can_be_polled(tmp_path: Path) -> None:
    apps = (make_app(environments=(make_environment(branch="release/*"),)),)
    client = make_web(sqlite_database(tmp_path), tmp_path, apps=apps).client()
    told = problem(client.post("/api/v1/apps/plate-web/poll"), 409, "conflict")
    assert told["detail"] == "`plate-web` names no branch exactly, and of others only hooks tell."
    problem(client.post("/api/v1/apps/nosuch/poll"), 404, "not-found")


def test_what_is_proven_is_promoted(web: Web) -> None:
    client = web.client()
    place = "/api/v1/apps/plate-web/environments/prod/promote"
    problem(client.post(place), 409, "conflict")
    web.run(RunState.SUCCEEDED, image="harbor.example.com/plate/plate-web:sha-1", digest="sha256:1", landed=10.0)
    answer = client.post(place)
    run = client.get(answer.json["api_url"]).json
    assert (run["environment"], run["trigger"]) == ("prod", "promotion")
    assert run["image"] == "harbor.example.com/plate/plate-web:sha-1"


def test_a_sentence_does_not_change_the_name_of_an_app(web: Web) -> None:
    answer = web.client().post("/api/v1/apps/plate-web/environments/stg/promote")
    problem(answer, 422, "invalid")
    assert answer.json["detail"] == "The environment plate-web/stg has no `promote_from` in the configuration."


@pytest.mark.parametrize("call", ["hold", "release", "promote", "rollback"])
def test_an_unknown_environment_is_not_found(web: Web, call: str) -> None:
    told = problem(web.client().post(f"/api/v1/apps/plate-web/environments/nosuch/{call}"), 404, "not-found")
    assert told["detail"] == "The app `plate-web` has no environment `nosuch`; known are stg, prod."
    told = problem(web.client().post(f"/api/v1/apps/nosuch/environments/stg/{call}"), 404, "not-found")
    assert told["detail"] == "There is no app `nosuch`; known are plate-web."


def test_apps_show_what_was_deployed_and_what_came_last(web: Web) -> None:
    image = "harbor.example.com/plate/plate-web:sha-1"
    good = web.run(RunState.SUCCEEDED, image=image, digest="sha256:1", landed=10.0)
    bad = web.run(RunState.FAILED)
    body = web.client("viewer").get("/api/v1/apps").json
    AppList.model_validate(body)
    stg, prod = body["items"][0]["environments"]
    assert (stg["deployed"]["run"], stg["last_run"]["id"]) == (good, bad)
    assert stg["deployed"]["image"] == "harbor.example.com/plate/plate-web:sha-1"
    assert (prod["deployed"], prod["last_run"]) == (None, None)
    problem(web.client().get("/api/v1/apps/nosuch"), 404, "not-found")


def test_apps_show_what_is_in_git_and_whether_it_is_proven(web: Web) -> None:
    image = "harbor.example.com/plate/plate-web:sha-"

    def landed(state: RunState, tag: str, at: float) -> int:
        return web.run(state, image=image + tag, landed=at)

    def in_git() -> dict[str, Any]:
        return dict(web.client("viewer").get("/api/v1/apps").json["items"][0]["environments"][0]["in_git"])

    late = landed(RunState.SUCCEEDED, "1", 900.0)
    landed(RunState.SUCCEEDED, "0", 100.0)
    web.run(RunState.FAILED)
    assert (in_git()["run"], in_git()["tag"], in_git()["proven"]) == (late, "sha-1", True)
    bad = landed(RunState.FAILED, "2", 1000.0)
    again = landed(RunState.CANCELLED, "2", 1100.0)
    assert (in_git()["run"], in_git()["proven"], in_git()["verdict"]["id"]) == (again, False, bad)
    assert in_git()["since"] == "2025-11-24T16:18:20.000Z"


# Lists


STAGES = "`failed`, `start`, `check`, `build`, `push`, `scan`, `commit`, `sync`, `health`"


@pytest.mark.parametrize(
    ("path", "body", "field", "message"),
    [
        ("/runs/1/rerun", {"from": "nope"}, "from", f"must be one of {STAGES}"),
        ("/runs/1/rerun", {"from": 7}, "from", f"must be one of {STAGES}"),
        ("/runs", START | {"reff": "main"}, "reff", "is not known here"),
        ("/runs", {"app": "plate-web", "ref": "main"}, "environment", "is required"),
        ("/runs", START | {"commit": "b" * 40}, "", "name exactly one of ref, commit or image"),
        (
            "/runs",
            {"app": "plate-web", "environment": "stg", "commit": "abc"},
            "commit",
            "must be the full id of a commit: 40 of the digits 0-9 and a-f (64 with SHA-256)",
        ),
    ],
)
def test_what_is_wrong_is_said_in_words(web: Web, path: str, body: dict[str, Any], field: str, message: str) -> None:
    told = problem(web.client().post(f"/api/v1{path}", json=body), 422, "invalid")
    assert told["errors"] == [{"in": "body", "field": field, "message": message}]


def test_a_run_tells_who_was_told(web: Web) -> None:
    run = web.run(RunState.FAILED)
    row = {"run_id": run, "channel": "slack-1", "type": "run.failed", "message": {}, "state": "pending"}
    with web.database.write() as connection:
        notifications.add(connection, [{**row, "due_at": AT, "created_at": AT}])
    told = web.client("viewer").get(f"/api/v1/runs/{run}").json["notifications"]
    assert told == [{"channel": "slack-1", "type": "run.failed", "state": "pending", "detail": "", "sent_at": None}]
