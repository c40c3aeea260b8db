"""Deploy, hold, release, roll back and promote from the pages."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState, Trigger
from orchestrator.store import environments, polls, unread
from orchestrator.store.database import now as clock
from tests.support.databases import sqlite_database
from tests.support.factories import make_app, make_environment
from tests.support.pages import OURS, Page, page
from tests.support.web import Web, make_web

IMAGE = "harbor.example.com/plate/plate-web:sha-"
PROD = "/apps/plate-web/prod"
STG = "/apps/plate-web/stg"
ACTIONS = ("deploy", "hold", "release", "rollback", "promote")
COMMIT = "0123456789abcdef" * 2 + "01234567"


def proven(web: Web, number: int, environment: str = "stg", state: RunState = RunState.SUCCEEDED) -> int:
    """Put a run there whose change was committed; it succeeded unless `state` says something else."""
    fields: dict[str, Any] = {"image": f"{IMAGE}{number}", "digest": f"sha256:{number}"}
    return web.run(state, environment=environment, landed=float(number), **fields)


def links(shown: Page, place: str = "/apps/") -> list[str]:
    return [one["href"] for one in shown.all("a") if one.get("href", "").startswith(place)]


def fields_of(shown: Page) -> dict[str, str]:
    """What a browser sends with the form."""
    return {one["name"]: one.get("value", "") for one in shown.all("input")}


def pressed(web: Web, path: str, **more: str) -> Any:
    client = web.browser()
    form = fields_of(Page(client.get(path).text)) | more
    return client.post(path, data=form, headers=OURS)


def state_of(web: Web, environment: str) -> dict[str, Any]:
    environments = web.client().get("/api/v1/apps/plate-web").json["environments"]
    return next(one for one in environments if one["name"] == environment)


def test_a_deployer_is_offered_what_can_be_done_and_a_viewer_nothing(web: Web) -> None:
    assert links(page(web, "/apps")) == [f"{STG}/deploy", f"{STG}/hold", f"{PROD}/deploy", f"{PROD}/hold"]
    proven(web, 1)
    web.client().post("/api/v1/apps/plate-web/environments/prod/hold", json={"reason": "freeze"})
    offered = {STG: ["deploy", "hold", "rollback"], PROD: ["deploy", "release", "promote"]}
    assert links(page(web, "/apps")) == [f"{env}/{action}" for env, actions in offered.items() for action in actions]
    shown = page(web, "/apps", "viewer")
    assert (links(shown), "Actions" in shown.text) == ([], False)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_viewer_may_neither_ask_nor_act(web: Web, action: str) -> None:
    proven(web, 1)
    client = web.browser("viewer")
    assert client.get(f"{PROD}/{action}").status_code == 403
    assert client.post(f"{PROD}/{action}", data={"run": "1"}, headers=OURS).status_code == 403
    assert (state_of(web, "prod")["hold"], state_of(web, "prod")["last_run"]) == (None, None)


@pytest.mark.parametrize("action", ACTIONS)
def test_another_site_does_nothing_to_an_environment(web: Web, action: str) -> None:
    proven(web, 1)
    answer = web.browser().post(f"{PROD}/{action}", data={"run": "1"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert (state_of(web, "prod")["hold"], state_of(web, "prod")["last_run"]) == (None, None)


@pytest.mark.parametrize("place", ["/apps/plate-web/nosuch", "/apps/nosuch/stg"])
@pytest.mark.parametrize("action", ACTIONS)
def test_of_what_is_not_configured_nothing_is_asked(web: Web, place: str, action: str) -> None:
    assert web.browser().get(f"{place}/{action}").status_code == 404
    assert web.browser().post(f"{place}/{action}", data={"run": "1"}, headers=OURS).status_code == 404


def test_people_who_are_not_logged_in_come_back_to_the_question(web: Web) -> None:
    assert web.client("").get(f"{PROD}/hold").headers["Location"] == f"/login?next={PROD}/hold"


@pytest.mark.parametrize(("what", "ref", "commit"), [
    ("main", "main", ""),
    (" release/1.2 ", "release/1.2", ""),
    ("refs/tags/v1", "refs/tags/v1", ""),
    (COMMIT, "", COMMIT),
])  # fmt: skip
def test_a_branch_a_tag_or_a_commit_is_deployed(web: Web, what: str, ref: str, commit: str) -> None:
    answer = pressed(web, f"{STG}/deploy", what=what)
    run = web.client().get(f"/api/v1{answer.headers['Location']}").json
    shown = (run["trigger"], run["environment"], run["ref"], run["commit"], run["actor"])
    assert shown == ("manual", "stg", ref, commit, "deployer-token")


def test_a_deploy_by_hand_begins_with_the_branch_and_says_what_it_waits_for(web: Web) -> None:
    assert fields_of(page(web, f"{STG}/deploy"))["what"] == "main"
    asked = page(web, f"{PROD}/deploy")
    assert fields_of(asked)["what"] == ""
    assert "waits until somebody approves it" in asked.text
    web.client().post("/api/v1/apps/plate-web/environments/prod/hold", json={"reason": "freeze"})
    assert "The run waits until it is released." in page(web, f"{PROD}/deploy").text


@pytest.mark.parametrize("rule", ["release/*", "v?", "[ab]"])
def test_a_pattern_of_branches_is_none_that_could_be_deployed(tmp_path: Path, rule: str) -> None:
    apps = (make_app(environments=(make_environment(branch=rule),)),)
    assert fields_of(page(make_web(sqlite_database(tmp_path), tmp_path, apps=apps), f"{STG}/deploy"))["what"] == ""


@pytest.mark.parametrize("what", ["", "a..b", "--upload-pack=x", "x" * 300])
def test_what_no_branch_can_be_called_is_not_deployed(web: Web, what: str) -> None:
    assert pressed(web, f"{STG}/deploy", what=what).status_code == 422
    assert state_of(web, "stg")["last_run"] is None


def test_an_environment_is_held_with_a_reason_and_released(web: Web) -> None:
    reason = next(one for one in page(web, f"{PROD}/hold").all("input") if one.get("name") == "reason")
    assert "required" in reason
    assert pressed(web, f"{PROD}/hold", reason=" 동결 <now>\r\n\x07 ").headers["Location"] == "/apps#plate-web-prod"
    held = state_of(web, "prod")["hold"]
    assert (held["reason"], held["by"]) == ("동결 <now>", "deployer-token")
    shown = page(web, "/apps")
    assert "on hold by deployer-token: 동결 <now>" in shown.text
    assert "plate-web-prod" in [one.get("id") for one in shown.all("tr")]
    asked = page(web, f"{PROD}/release")
    assert "동결 <now>" in asked.text
    assert "Release prod" in asked.text
    assert pressed(web, f"{PROD}/release").headers["Location"] == "/apps#plate-web-prod"
    assert state_of(web, "prod")["hold"] is None
    assert "It is not on hold." in page(web, f"{PROD}/release").text
    assert page(web, f"{PROD}/release").text.count("Release prod") == 0


@pytest.mark.parametrize("reason", ["", "x" * 600])
def test_a_reason_is_bounded_and_may_be_left_out(web: Web, reason: str) -> None:
    pressed(web, f"{PROD}/hold", reason=reason)
    assert state_of(web, "prod")["hold"]["reason"] == (reason[:500] or "no reason given")


def test_a_rollback_names_both_images_and_how_to_undo_it(web: Web) -> None:
    first, second = proven(web, 1), proven(web, 2)
    asked = page(web, f"{STG}/rollback")
    assert f"Roll back to sha-1 (run {first})" in asked.text
    assert f"sha-2 (run {second})" in " ".join(asked.text.split())
    assert f"pilotage app rollback plate-web stg --to {second}" in asked.text
    assert "The next push deploys again; hold stg first" in asked.text
    assert "It is not promoted by itself: prod stays as it is." in asked.text
    answer = pressed(web, f"{STG}/rollback")
    run = web.client().get(f"/api/v1{answer.headers['Location']}").json
    assert (run["trigger"], run["image"], run["actor"]) == ("rollback", f"{IMAGE}1", "deployer-token")


def test_what_was_shown_is_what_is_rolled_back_to(web: Web) -> None:
    proven(web, 1)
    proven(web, 2)
    client = web.browser()
    form = fields_of(Page(client.get(f"{STG}/rollback").text))
    proven(web, 3)
    answer = client.post(f"{STG}/rollback", data=form, headers=OURS)
    assert client.get(f"/api/v1{answer.headers['Location']}").json["image"] == f"{IMAGE}1"


def test_a_failed_deploy_is_rolled_back_to_the_last_proven_one_and_undone_by_its_rerun(web: Web) -> None:
    first = proven(web, 1)
    second = proven(web, 2, state=RunState.FAILED)
    asked = page(web, f"{STG}/rollback")
    assert f"Roll back to sha-1 (run {first})" in asked.text
    assert f"(run {second}, not proven)" in asked.text
    assert f"pilotage run rerun {second}" in asked.text


@pytest.mark.parametrize(("path", "said"), [
    (f"{STG}/rollback", "There is nothing to go back to: no other image was proven in stg yet."),
    (f"{PROD}/promote", "There is nothing to promote: nothing has succeeded in stg yet."),
    (f"{STG}/promote", "Nothing is promoted to stg: it has no promote_from in the configuration."),
])  # fmt: skip
def test_where_there_is_nothing_to_bring_no_button_says_so(web: Web, path: str, said: str) -> None:
    asked = page(web, path)
    assert said in " ".join(asked.text.split())
    assert [one for one in asked.all("button") if one.get("class") == "main"] == []
    assert web.browser().post(path, data={"run": "1"}, headers=OURS).status_code in (409, 422)


def test_a_promotion_names_its_image_and_is_what_was_shown(web: Web) -> None:
    first = proven(web, 1)
    client = web.browser()
    asked = Page(client.get(f"{PROD}/promote").text)
    assert f"Promote sha-1 (run {first})" in asked.text
    assert "Nobody else is asked to approve it." in asked.text
    form = fields_of(asked)
    proven(web, 2)
    answer = client.post(f"{PROD}/promote", data=form, headers=OURS)
    run = client.get(f"/api/v1{answer.headers['Location']}").json
    shown = (run["trigger"], run["environment"], run["image"], run["actor"])
    assert shown == ("promotion", "prod", f"{IMAGE}1", "deployer-token")


@pytest.mark.parametrize("action", ["rollback", "promote"])
def test_on_hold_it_is_said_whether_the_run_will_wait(web: Web, action: str) -> None:
    for number in (1, 2):
        proven(web, number)
        proven(web, number, "prod")
    web.client().post("/api/v1/apps/plate-web/environments/prod/hold", json={"reason": "freeze"})
    asked = page(web, f"{PROD}/{action}")
    what = "Rolling back goes through" if action == "rollback" else "The run waits until it is released."
    assert f"prod is on hold by deployer-token: freeze. {what}" in asked.text
    assert ("This image is in Git there already." in asked.text) is (action == "promote")


@pytest.mark.parametrize("action", ["deploy", "rollback", "promote"])
def test_a_form_that_is_sent_twice_starts_one_run(web: Web, action: str) -> None:
    for number in (1, 2):
        proven(web, number)
        proven(web, number, "prod")
    client = web.browser()
    form = fields_of(Page(client.get(f"{PROD}/{action}").text)) | {"what": "main"}
    targets = [client.post(f"{PROD}/{action}", data=form, headers=OURS).headers["Location"] for _ in range(2)]
    assert targets[0] == targets[1]
    assert pressed(web, f"{PROD}/{action}", what="main").headers["Location"] != targets[0]


@pytest.mark.parametrize("run", ["", "x", "0", "-1", "99999999999", "²"])
def test_a_form_that_names_no_run_starts_none(web: Web, run: str) -> None:
    proven(web, 1)
    answer = web.browser().post(f"{PROD}/promote", data={"run": run}, headers=OURS)
    assert answer.status_code == 422
    assert state_of(web, "prod")["last_run"] is None


def test_a_failed_deploy_leads_to_the_page_that_rolls_it_back_while_it_is_the_newest(web: Web) -> None:
    proven(web, 1)
    failed = proven(web, 2, state=RunState.FAILED)
    shown = page(web, f"/runs/{failed}")
    assert links(shown) == [f"{STG}/rollback"]
    assert "Roll back plate-web in stg" in shown.text
    assert links(page(web, f"/runs/{failed}", "viewer")) == []
    proven(web, 3)
    assert links(page(web, f"/runs/{failed}")) == []


def test_a_failed_deploy_that_nothing_was_proven_before_leads_nowhere(web: Web) -> None:
    failed = proven(web, 1, state=RunState.FAILED)
    assert links(page(web, f"/runs/{failed}")) == []


def test_a_run_that_waits_for_a_hold_leads_to_the_page_that_releases_it(web: Web) -> None:
    held = web.run(RunState.WAITING, reason=Reason.ON_HOLD)
    assert links(page(web, f"/runs/{held}")) == [f"{STG}/release"]
    gone = web.run(RunState.WAITING, reason=Reason.ON_HOLD, environment="gone")
    assert links(page(web, f"/runs/{gone}")) == []


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED, RunState.SUCCEEDED])
def test_a_rollback_that_is_over_leads_out_of_the_hold_that_it_has_left(web: Web, state: RunState) -> None:
    failed = proven(web, 2, state=RunState.FAILED)
    back = web.run(state, trigger=Trigger.ROLLBACK, actor=f"run {failed}")
    assert links(page(web, f"/runs/{back}")) == []
    with web.database.write() as connection:
        environments.set_hold(connection, "plate-web", "stg", f"run {failed} failed here", "pilotage", 1.0)
    shown = page(web, f"/runs/{back}")
    assert links(shown) == [f"{STG}/release"]
    assert "Next, for the developer: " in shown.text
    assert "pilotage app release plate-web stg" in shown.text


def words_of(web: Web, role: str = "deployer") -> str:
    return " ".join(page(web, "/apps", role).text.split())


def poll_of(web: Web) -> dict[str, Any] | None:
    return web.client().get("/api/v1/apps/plate-web").json["poll"]  # type: ignore[no-any-return]


def test_a_deployer_has_lost_pushes_looked_for_and_sees_what_came_of_it(web: Web) -> None:
    run, client = proven(web, 1), web.browser()
    answer = client.post("/apps/plate-web/poll", headers=OURS)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/apps#app:plate-web")
    assert "app:plate-web" in [one.get("id") for one in page(web, "/apps").all("section")]
    assert "looking asked for by" in words_of(web, "viewer")
    for facts, words in (
        ({"branches": ["main"], "missing": [], "runs": []}, "no push without its hook"),
        ({"branches": ["main"], "missing": ["gone"], "runs": [run]}, f"run #{run} not there: gone"),
        ({"problem": "The forge <b>refused</b>."}, "The forge <b>refused</b>."),
        ({"problem": "A commit is gone.", "runs": [run]}, f"run #{run} A commit is gone."),
    ):
        with web.database.write() as connection:
            at = clock()
            polls.ask(connection, "plate-web", "mina", at)
            polls.done(connection, "plate-web", at, at, facts)
        assert words in words_of(web)


def test_who_sees_the_apps_sees_which_of_them_the_poll_cannot_read(web: Web) -> None:
    assert "unnoticed" not in page(web, "/apps", "viewer").text
    with web.database.write() as connection:
        unread.note(connection, "plate-web", "The forge <b>refused</b>.", clock())
    assert (
        "A push without its hook goes unnoticed: The forge <b>refused</b>. since" in page(web, "/apps", "viewer").text
    )


def test_who_may_not_deploy_or_comes_from_elsewhere_has_nothing_looked_for(web: Web) -> None:
    assert "Look for pushes" in page(web, "/apps").text
    assert "Look for pushes" not in page(web, "/apps", "viewer").text
    assert web.browser("viewer").post("/apps/plate-web/poll", headers=OURS).status_code == 403
    assert web.browser().post("/apps/plate-web/poll", headers={"Origin": "https://evil.example"}).status_code == 403
    assert web.browser().post("/apps/nosuch/poll", headers=OURS).status_code == 404
    assert poll_of(web) is None


def test_what_came_of_a_poll_is_not_shown_for_ever(web: Web) -> None:
    with web.database.write() as connection:
        polls.ask(connection, "plate-web", "mina", clock() - 3700)
    assert "looking" not in page(web, "/apps").text
