"""The pages of runs."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.domain.events import Delivery, DeliveryOutcome
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState, Trigger
from orchestrator.engine.facts import Blocked
from orchestrator.engine.transitions import advance
from orchestrator.services.views import rfc3339
from orchestrator.store import deliveries, notifications, runs
from orchestrator.web import words
from orchestrator.web.app import utc_now
from tests.support.pages import OURS, Page, page
from tests.support.web import AT, Web


def test_the_list_shows_state_by_word_and_sign_and_says_why(web: Web) -> None:
    web.run(RunState.FAILED, title="주문 <b>API</b>", detail="exit 3")
    web.run(RunState.RUNNING)
    answer = web.browser().get("/runs").text
    assert "주문 &lt;b&gt;API&lt;/b&gt;" in answer
    shown = Page(answer)
    assert "The image build failed: exit 3." in shown.text
    for sign, word in (("✗", "failed"), ("◐", "running")):
        assert f"{sign}{word}" in re.sub(r"\s", "", shown.text)


TURNED = "a\u202eb\u2066cd"


@pytest.mark.parametrize("field", ["ref", "title", "author", "detail", "image"])
def test_no_word_of_others_turns_what_stands_around_it(web: Web, field: str) -> None:
    """A branch, too, may have a name that turns the direction of writing, as of the commit beside it."""
    run = web.run(RunState.FAILED, **{field: TURNED})
    for path in ("/runs", f"/runs/{run}"):
        answer = web.browser().get(path).text
        assert [sign for sign in TURNED if sign in answer] == list("abcd")
    assert "abcd" in answer


def test_a_superseded_run_leads_to_its_successor(web: Web) -> None:
    later = web.run()
    run = web.run(RunState.CANCELLED, reason=Reason.SUPERSEDED, superseded_by=later)
    assert {"href": f"/runs/{later}"} in page(web, f"/runs/{run}").all("a")


def test_a_run_that_was_taken_back_leads_to_the_one_that_goes_back(web: Web) -> None:
    run = web.run(RunState.FAILED, reason=Reason.DEGRADED)
    back = web.run(trigger=Trigger.ROLLBACK, actor=f"run {run}")
    web.note_taken_back(run, back)
    assert {"href": f"/runs/{back}"} in page(web, f"/runs/{run}").all("a")
    assert web.browser().get(f"/api/v1/runs/{run}").json["taken_back_by"] == back


def said(web: Web, path: str) -> str:
    """Return the words of a page."""
    return " ".join(page(web, path).text.split())


@pytest.mark.parametrize(
    ("state", "fields", "told"),
    [
        (RunState.SUCCEEDED, {"waited": 4}, "1m03s"),
        (RunState.SUCCEEDED, {"waited": 1902}, "59 s waited 31m42s"),
        (RunState.CANCELLED, {"waited": 1902, "reason": Reason.SUPERSEDED}, "59 s waited 31m42s"),
    ],
)
def test_a_run_that_is_over_tells_work_and_waiting_apart(
    web: Web, state: RunState, fields: dict[str, Any], told: str
) -> None:
    run = web.run(state, **fields)
    assert f"took {told}" in said(web, f"/runs/{run}")
    assert told in said(web, "/runs")


@pytest.mark.parametrize(
    ("state", "waited", "on_page", "in_list"),
    [
        (RunState.QUEUED, 0, "waiting for 3h00m", "waiting for 3h00m"),
        (RunState.RUNNING, 7200, "waited 2h00m", "1h00m waited 2h00m"),
        (RunState.WAITING, 7200, "waited 2h00m", "1h00m waited 2h00m"),
        (RunState.RUNNING, 1, "accepted 3 h ago", "3h00m"),
    ],
    ids=["waits for a worker", "at work after a wait", "waits within its stage", "at work"],
)
def test_a_run_that_is_not_over_tells_work_and_waiting_apart(
    web: Web, monkeypatch: pytest.MonkeyPatch, state: RunState, waited: int, on_page: str, in_list: str
) -> None:
    monkeypatch.setattr("tests.support.web.AT", utc_now().timestamp() - 3 * 3600 - 5)
    run = web.run(state, waited=waited)
    assert on_page in said(web, f"/runs/{run}")
    assert in_list in said(web, "/runs")


def test_the_stage_that_waits_for_its_turn_says_for_how_long(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.web.AT", utc_now().timestamp() - 3 * 3600 - 5)
    run = web.run()
    with web.database.write() as connection:
        before = runs.load(connection, run)
        assert before is not None
        held = Blocked(reason=Reason.ON_HOLD, detail="on hold: freeze", anew=True)
        runs.save(connection, before, advance(before, held, utc_now()).run)
    text = said(web, f"/runs/{run}")
    assert "waiting for 3h00m" in text
    assert "check waiting 3h00m" in text
    assert text.count("3h00m") == 2, "only the stage whose turn it is waits"


@pytest.mark.parametrize(
    ("state", "reason", "word"),
    [
        (RunState.CANCELLED, Reason.SUPERSEDED, "superseded"),
        (RunState.FAILED, Reason.TIMED_OUT, "timed out"),
        (RunState.FAILED, Reason.BUILD_TIMEOUT, "timed out"),
    ],
)
def test_all_pages_word_a_state_alike(web: Web, state: RunState, reason: Reason, word: str) -> None:
    run = web.run(state, reason=reason)
    answers = [web.browser().get(path).text for path in ("/runs", "/apps", f"/runs/{run}")]
    for answer in answers:
        assert f"</span>{word}</span>" in answer
    assert f'aria-label="check: {word}, 59 s"' in answers[2]
    assert f'<span class="word">{word}</span>' in answers[2]
    assert f" stg {word} · Pilotage</title>" in answers[2]


def test_older_runs_are_one_click_away(web: Web) -> None:
    for _ in range(35):
        web.run()
    first = page(web, "/runs?app=plate-web")
    older = next(one["href"] for one in first.all("a") if one.get("rel") == "next")
    assert older == "/runs?app=plate-web&cursor=6"
    assert "#5" in page(web, older).text


@pytest.mark.parametrize("query", ["state=nosuch", "cursor=x", "app=%00", "cursor=99999999999999"])
def test_a_list_that_is_asked_for_nonsense_shows_what_it_can(web: Web, query: str) -> None:
    page(web, f"/runs?{query}")
    page(web, f"/deliveries?{query}")


@pytest.mark.parametrize(
    ("query", "wanted"),
    [("/runs?app=gone", "gone"), ("/runs?environment=stg", "stg"), ("/deliveries?hook=github", "github")],
)
def test_a_list_says_by_what_it_is_narrowed_also_if_the_configuration_lost_it(
    web: Web, query: str, wanted: str
) -> None:
    assert web.browser().get(query).text.count(f"<option selected>{wanted}</option>") == 1


def test_a_run_shows_its_stages_each_with_an_accessible_state(web: Web) -> None:
    run = web.run(RunState.FAILED, detail="exit 3")
    items = [one for one in page(web, f"/runs/{run}").all("li") if one.get("role") == "listitem"]
    labels = [one["aria-label"] for one in items]
    assert len(labels) == 7
    assert labels[0] == "check: failed, 59 s"
    assert labels[1] == "build: not reached"


def test_a_run_says_why_and_what_is_next(web: Web) -> None:
    text = page(web, f"/runs/{web.run(RunState.FAILED, detail='exit 3')}").text
    assert "The image build failed: exit 3." in text
    assert "Next, for the developer: Read the end of the build log." in text


@pytest.mark.parametrize("trigger", [Trigger.PROMOTION, Trigger.ROLLBACK])
@pytest.mark.parametrize(("actor", "led_to"), [("run 7", ["/runs/7"]), ("mina", []), ("run x", [])])
def test_a_run_leads_to_the_one_that_caused_it(web: Web, trigger: Trigger, actor: str, led_to: list[str]) -> None:
    run = web.run(trigger=trigger, actor=actor)
    shown = page(web, f"/runs/{run}")
    assert f"{trigger.value} by {actor}" in shown.text
    assert [one["href"] for one in shown.all("a") if one["href"].startswith("/runs/")] == led_to


def test_a_command_in_a_next_step_is_shown_as_code(web: Web) -> None:
    run = web.run(RunState.WAITING, reason=Reason.AWAITING_APPROVAL)
    assert f"Approve it with <code>pilotage run approve {run}</code>." in web.browser().get(f"/runs/{run}").text


def test_what_is_not_there_is_not_found(web: Web) -> None:
    run = web.run(RunState.FAILED)
    web.log(run, "line")
    assert "0 lines with “fault”." in page(web, f"/runs/{run}?find=fault").text


def test_attempts_are_linked(web: Web) -> None:
    first = web.run(RunState.FAILED)
    second = web.run(rerun_of=first, attempt=2)
    assert {"href": f"/runs/{first}", "title": f"run {first}"} in page(web, f"/runs/{second}").all("a")


@pytest.mark.parametrize(
    ("state", "reason", "role", "expected"),
    [
        (RunState.FAILED, Reason.BUILD_FAILED, "deployer", ["rerun"]),
        (RunState.RUNNING, Reason.RUNNING, "deployer", ["cancel"]),
        (RunState.WAITING, Reason.AWAITING_APPROVAL, "admin", ["approve", "cancel"]),
        (RunState.RUNNING, Reason.RUNNING, "viewer", []),
    ],
)
def test_people_are_offered_what_they_can_do(
    web: Web, state: RunState, reason: Reason, role: str, expected: list[str]
) -> None:
    run = web.run(state, reason=reason)
    forms = [one["action"] for one in page(web, f"/runs/{run}", role).all("form") if one["method"] == "post"]
    assert forms == ["/logout", *(f"/runs/{run}/{action}" for action in expected), "/language"]


def test_people_act_from_the_page(web: Web) -> None:
    run = web.run(RunState.WAITING, reason=Reason.AWAITING_APPROVAL, approved=False)
    client = web.browser()
    assert client.post(f"/runs/{run}/approve", headers=OURS).headers["Location"] == f"/runs/{run}"
    left = [one["action"] for one in page(web, f"/runs/{run}").all("form") if one["method"] == "post"]
    assert left == ["/logout", f"/runs/{run}/cancel", "/language"], "who has approved is not asked again"
    assert client.post(f"/runs/{run}/cancel", headers=OURS).status_code == 303
    assert "Approvedby deployer-token, " in page(web, f"/runs/{run}").text
    assert client.post(f"/runs/{run}/rerun", headers=OURS).headers["Location"] == f"/runs/{run + 1}"
    actor = client.get(f"/api/v1/runs/{run + 1}").json["actor"]
    assert actor == "deployer-token"


@pytest.mark.parametrize(("chosen", "begins"), [("", ""), ("build", "build")])
def test_a_rerun_from_the_page_reuses_what_is_proven_or_builds_anew(web: Web, chosen: str, begins: str) -> None:
    run = web.run(RunState.FAILED)
    assert chosen in [one.get("value") for one in page(web, f"/runs/{run}").all("option")]
    client = web.browser()
    again = client.post(f"/runs/{run}/rerun", data={"from": chosen}, headers=OURS).headers["Location"]
    with web.database.read() as connection:
        found = runs.load(connection, int(again.rpartition("/")[2]))
    assert found is not None
    assert (found.rerun_of, found.from_stage) == (run, begins)


def test_times_can_be_read_by_the_script_and_are_utc_without_it(web: Web) -> None:
    run = web.run(RunState.FAILED)
    shown = page(web, f"/runs/{run}")
    created = rfc3339(datetime.fromtimestamp(AT, UTC))
    assert {"datetime": created} in shown.all("time")
    assert words.moment(created) in shown.text
    assert {one["datetime"] for one in page(web, "/runs").all("time")} == {created}
    assert any(one["src"].startswith("/static/times.js") for one in shown.all("script"))


def test_a_run_leads_to_its_delivery(web: Web) -> None:
    with web.database.write() as connection:
        row = deliveries.row_of(Delivery(hook="github", key="d-1"), AT, DeliveryOutcome.ACCEPTED)
        (delivery,) = deliveries.add(connection, [row])
        later = deliveries.row_of(Delivery(hook="github", key="d-2"), AT, DeliveryOutcome.IGNORED)
        deliveries.add(connection, [later])
    run = web.run(RunState.FAILED, delivery_id=delivery)
    (link,) = (one["href"] for one in page(web, f"/runs/{run}").all("a") if "/deliveries?" in one.get("href", ""))
    path, _, anchor = link.partition("#")
    rows = [one["id"] for one in page(web, path).all("tr") if "id" in one]
    assert (anchor, rows) == ("delivery-1", ["delivery-1"])


@pytest.mark.parametrize("known", ["plate-web", "plate-old"])
def test_a_list_that_is_narrowed_says_to_what_though_the_app_has_left_the_configuration(web: Web, known: str) -> None:
    web.run(app=known)
    shown = web.browser().get(f"/runs?app={known}").text
    assert shown.count(f"<option selected>{known}</option>") == 1


@pytest.mark.parametrize(
    ("code", "told"), [("en", ("started, told by a later one", "failed, not sent yet")), ("ko", ("시작, ", "실패, "))]
)
def test_what_became_of_notifications_is_said_in_words(web: Web, code: str, told: tuple[str, str]) -> None:
    run = web.run(RunState.FAILED)
    row = {"run_id": run, "channel": "slack-1", "message": {}, "due_at": AT, "created_at": AT}
    ends = ({"type": "run.started", "state": "merged"}, {"type": "run.failed", "state": "pending"})
    with web.database.write() as connection:
        notifications.add(connection, [row | end for end in ends])
    shown = web.browser().get(f"/runs/{run}", headers={"Accept-Language": code}).text
    assert all(f"<li>slack-1: {words}" in shown for words in told)
    assert "run.failed" not in shown
