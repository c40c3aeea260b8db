"""Idempotency-Key and attempts under real concurrency, on both databases."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.runs import Run, RunState
from orchestrator.services.bell import Bell
from orchestrator.services.control import Control, ManualRun, NotPossible
from orchestrator.services.once import KeyReused, Once, Repeated
from orchestrator.store import idempotency, runs
from orchestrator.store.database import Database, now
from tests.support.databases import database, postgres_url
from tests.support.web import Web, make_web

__all__ = ["database", "postgres_url"]  # a fixture

START = {"app": "plate-web", "environment": "stg", "ref": "main"}
AT_ONCE = 6


@pytest.fixture
def web(database: Database, tmp_path: Path) -> Web:
    return make_web(database, tmp_path)


def together(do: Callable[[int], Any]) -> list[Any]:
    """Call `do` from several threads that start at the same moment."""
    barrier = threading.Barrier(AT_ONCE)

    def one(number: int) -> Any:
        barrier.wait(10)
        return do(number)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(AT_ONCE)))


def all_runs(database: Database) -> list[Run]:
    with database.read() as connection:
        return runs.page(connection)


def start(web: Web, key: str, body: dict[str, str] | None = None, role: str = "deployer") -> Any:
    return web.client(role).post("/api/v1/runs", json=body or START, headers={"Idempotency-Key": key})


def test_the_same_request_is_answered_as_the_first_and_done_once(web: Web) -> None:
    first, second = start(web, "k"), start(web, "k")
    assert (second.status_code, second.data) == (first.status_code, first.data)
    assert second.headers["Location"] == first.headers["Location"]
    assert ("Idempotent-Replayed" in first.headers, second.headers["Idempotent-Replayed"]) == (False, "true")
    assert len(all_runs(web.database)) == 1


def deploy(web: Web, what: str, key: str) -> Any:
    """Send the form of the page that deploys."""
    form = {"what": what, "key": key}
    return web.browser().post("/apps/plate-web/stg/deploy", data=form, headers={"Sec-Fetch-Site": "same-origin"})


@pytest.mark.parametrize("what", ["c" * 40, "c" * 64, f"feature/{'x' * 200}"])
def test_a_page_deploys_once_what_has_a_long_name(web: Web, what: str) -> None:
    first, second = deploy(web, what, "k"), deploy(web, what, "k")
    assert (first.status_code, second.status_code) == (303, 303), first.text
    assert second.headers["Location"] == first.headers["Location"]
    assert deploy(web, "main", "k").status_code == 422


def test_a_form_with_a_sign_that_no_text_holds_is_carried_out_once_too(web: Web) -> None:
    targets = [deploy(web, "main", "k\0").headers["Location"] for _ in range(2)]
    assert targets[0] == targets[1]


@pytest.mark.parametrize("place", ["/apps/plate-web/%00/", "/apps/%00/stg/", "/api/v1/apps/%00/environments/stg/"])
def test_what_no_text_holds_is_the_name_of_nothing(web: Web, place: str) -> None:
    client = web.client() if place.startswith("/api/") else web.browser()
    answer = client.post(f"{place}release", headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 404


def test_the_answer_stays_the_first_one_when_the_run_goes_on(web: Web) -> None:
    first = start(web, "k")
    web.change(first.json["id"], RunState.FAILED)
    assert start(web, "k").data == first.data


def test_a_quoted_key_is_the_same_key(web: Web) -> None:
    assert start(web, '"k"').data == start(web, "k").data


def test_another_request_with_the_same_key_is_refused(web: Web) -> None:
    start(web, "k")
    answer = start(web, "k", {**START, "ref": "other"})
    assert (answer.status_code, answer.json["type"]) == (422, "urn:pilotage:problem:idempotency-key-reused")
    assert len(all_runs(web.database)) == 1


def test_keys_of_two_tokens_have_nothing_to_do_with_each_other(web: Web) -> None:
    assert start(web, "k").json["id"] != start(web, "k", role="admin").json["id"]


def test_a_key_in_quotes_may_hold_a_comma(web: Web) -> None:
    assert start(web, '"k,l"').status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb", "é", '""', '"k', 'k"', '"k" "l"', "k,l", '"k","l"'])
def test_a_key_that_is_none_is_refused(web: Web, key: str) -> None:
    assert start(web, key).status_code == 400


@pytest.mark.parametrize("keys", [("k", "l"), ("k", "k"), ('"k"', '"l"'), ("k", "")])
def test_two_keys_are_refused(web: Web, keys: tuple[str, str]) -> None:
    headers = [("Idempotency-Key", key) for key in keys]
    answer = web.client().post("/api/v1/runs", json=START, headers=headers)
    assert (answer.status_code, answer.json["type"]) == (400, "urn:pilotage:problem:malformed")
    assert all_runs(web.database) == []


def test_a_request_that_was_refused_leaves_its_key_free(web: Web) -> None:
    assert start(web, "k", {**START, "app": "nosuch"}).status_code == 404
    run = web.run(RunState.RUNNING)
    client = web.client()
    headers = {"Idempotency-Key": "r"}
    assert client.post(f"/api/v1/runs/{run}/rerun", headers=headers).status_code == 409
    web.change(run, RunState.FAILED)
    assert client.post(f"/api/v1/runs/{run}/rerun", headers=headers).status_code == 202


@pytest.mark.parametrize("path", ["runs/1/cancel", "apps/plate-web/environments/stg/hold"])
def test_every_post_takes_a_key(web: Web, path: str) -> None:
    web.run()
    headers = {"Idempotency-Key": "k"}
    first = web.client().post(f"/api/v1/{path}", headers=headers)
    second = web.client().post(f"/api/v1/{path}", headers=headers)
    assert (first.status_code, second.status_code, second.data) == (202, 202, first.data)


def test_while_the_first_request_is_at_work_the_second_is_told_so(web: Web) -> None:
    inside, go_on = threading.Event(), threading.Event()
    control = Control(web.database, web.settings, Bell(""))
    original = Once.settle

    def slow(self: Once, *arguments: Any) -> None:
        inside.set()
        go_on.wait(10)
        original(self, *arguments)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as pool:
        patch.setattr(Once, "settle", slow)
        first = pool.submit(start, web, "k")
        assert inside.wait(10)
        second = start(web, "k")
        go_on.set()
        assert (second.status_code, second.json["type"]) == (409, "urn:pilotage:problem:idempotency-key-busy")
        assert second.headers["Retry-After"] == "1"
        assert first.result(10).status_code == 202
    assert start(web, "k").status_code == 202
    assert len(all_runs(web.database)) == 1
    assert control  # the control of another process would wait in the database instead


def test_parallel_requests_with_one_key_make_one_run(web: Web) -> None:
    answers = together(lambda _: start(web, "k"))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.data for answer in answers if answer.status_code == 202}) == 1
    assert len(all_runs(web.database)) == 1


def test_parallel_requests_through_several_processes_make_one_run(web: Web) -> None:
    """Each control stands for a process: nothing but the database is between them."""

    def do(number: int) -> object:
        control = Control(web.database, web.settings, Bell(""))
        once = Once(lambda run: {"id": run.id if run else 0}, key="7:k", request="same")
        try:
            control.start(ManualRun(app="plate-web", environment="stg", ref="main"), once=once)
        except Repeated as earlier:
            return dict(earlier.answer)
        return dict(once.answer)

    answers = together(do)
    assert len(all_runs(web.database)) == 1
    assert answers == [{"id": all_runs(web.database)[0].id}] * AT_ONCE


def test_parallel_requests_with_one_key_and_different_content_make_one_run(web: Web) -> None:
    def do(number: int) -> str:
        control = Control(web.database, web.settings, Bell(""))
        once = Once(lambda _: {}, key="7:k", request=f"number {number}")
        try:
            control.start(ManualRun(app="plate-web", environment="stg", ref="main"), once=once)
        except KeyReused:
            return "refused"
        return "done"

    assert sorted(together(do)) == ["done"] + ["refused"] * (AT_ONCE - 1)
    assert len(all_runs(web.database)) == 1


def test_parallel_reruns_make_one_attempt(web: Web) -> None:
    run = web.run(RunState.FAILED)

    def do(number: int) -> str:
        try:
            Control(web.database, web.settings, Bell("")).rerun(run, "somebody")
        except NotPossible as refusal:
            return refusal.kind
        return "done"

    assert sorted(together(do)) == ["conflict"] * (AT_ONCE - 1) + ["done"]
    assert [one.attempt for one in all_runs(web.database)] == [2, 1]


def test_a_crash_before_the_end_leaves_neither_run_nor_key(web: Web) -> None:
    class Crash(BaseException):
        pass

    def crash(_: Run | None) -> dict[str, Any]:
        raise Crash

    control = Control(web.database, web.settings, Bell(""))
    wish = ManualRun(app="plate-web", environment="stg", ref="main")
    with pytest.raises(Crash):
        control.start(wish, once=Once(crash, key="k", request="r"))
    assert all_runs(web.database) == []
    control.start(wish, once=Once(lambda _: {}, key="k", request="r"))
    assert len(all_runs(web.database)) == 1


def test_keys_are_forgotten_after_a_day(web: Web) -> None:
    at = now()
    with web.database.write() as connection:
        assert idempotency.claim(connection, "k", "r", at - idempotency.KEY_LIFETIME - 1) is None
    with web.database.write() as connection:
        assert idempotency.claim(connection, "k", "other", at) is None
