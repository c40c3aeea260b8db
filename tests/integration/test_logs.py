"""The log of a run: whole, in three forms, and live over a real server."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from orchestrator.domain.runs import RunState
from orchestrator.services import tokens
from orchestrator.store import logs
from orchestrator.store.database import Database
from orchestrator.web import streams
from orchestrator.web.answers import RunView
from orchestrator.web.streams import Streams
from tests.support.databases import database, postgres_url, sqlite_database
from tests.support.waiting import until
from tests.support.web import AT, Web, make_web, served

__all__ = ["database", "postgres_url"]

COLOURED = "\x1b[32mok\x1b[0m 한국어"


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return make_web(sqlite_database(tmp_path), tmp_path, streams=Streams(limit=3, each=2))


@dataclass
class Event:
    """One server-sent event."""

    kind: str
    id: str
    data: Any


class Reader:
    """Reads a stream of events; `raw` holds every line as it came."""

    def __init__(self, answer: requests.Response) -> None:
        self._lines = answer.iter_lines(chunk_size=1)
        self.raw: list[str] = []

    def __iter__(self) -> Iterator[Event]:
        fields: dict[str, str] = {}
        for line in self._lines:
            text = line.decode()
            self.raw.append(text)
            if not text and "data" in fields:
                yield Event(fields.get("event", ""), fields.get("id", ""), json.loads(fields["data"]))
            if not text:
                fields = {}
            elif not text.startswith(":"):
                name, _, value = text.partition(": ")
                fields[name] = value

    def until(self, kind: str) -> list[Event]:
        """Read up to and with the first event of a kind."""
        found = []
        for event in self:
            found.append(event)
            if event.kind == kind:
                break
        return found


@contextmanager
def stream(
    url: str,
    web: Web,
    run: int,
    query: str = "",
    accept: str = "text/event-stream",
    role: str = "viewer",
    **headers: str,
) -> Iterator[requests.Response]:
    sent = {"Accept": accept, "Authorization": f"Bearer {web.tokens[role]}", **headers}
    address = f"{url}/api/v1/runs/{run}/logs?{query}"
    with requests.get(address, headers=sent, stream=True, timeout=20) as answer:
        yield answer


def get(web: Web, run: int, query: str = "", accept: str = "*/*") -> Any:
    return web.client("viewer").get(f"/api/v1/runs/{run}/logs?{query}", headers={"Accept": accept})


# Whole


def test_the_log_is_text_without_escape_sequences(web: Web) -> None:
    run = web.run(RunState.SUCCEEDED)
    web.log(run, "checked", stage="check")
    web.log(run, COLOURED, "")
    answer = get(web, run)
    assert answer.content_type == "text/plain; charset=utf-8"
    assert answer.text == "checked\nok 한국어\n\n"
    assert get(web, run, "ansi=1").text == f"checked\n{COLOURED}\n\n"
    assert get(web, run, "stage=check").text == "checked\n"
    assert get(web, run, "stage=push").text == ""
    assert get(web, run, "after=1").text == "ok 한국어\n\n"
    assert get(web, run, "after=3").text == ""


def test_the_log_is_json_lines(web: Web) -> None:
    run = web.run(RunState.SUCCEEDED)
    web.log(run, "one", COLOURED)
    answer = get(web, run, "after=1", "application/x-ndjson")
    assert answer.content_type == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == [{"n": 2, "stage": "build", "at": "2025-11-24T16:00:00.000Z", "text": "ok 한국어"}]


@pytest.mark.parametrize(
    ("form", "accept", "media"),
    [
        ("text", "*/*", "text/plain; charset=utf-8"),
        ("text", "application/json", "text/plain; charset=utf-8"),
        ("text", "text/event-stream", "text/plain; charset=utf-8"),
        ("ndjson", "*/*", "application/x-ndjson"),
        ("ndjson", "text/html", "application/x-ndjson"),
    ],
)
def test_an_address_can_name_the_form(web: Web, form: str, accept: str, media: str) -> None:
    run = web.run(RunState.SUCCEEDED)
    web.log(run, "one", "two")
    answer = get(web, run, f"format={form}", accept)
    assert answer.content_type == media
    assert len(answer.text.splitlines()) == 2


@pytest.mark.parametrize(
    ("query", "accept", "status"),
    [
        ("format=html", "*/*", 422),
        ("", "application/json", 406),
        ("", "text/html,application/xhtml+xml,*/*;q=0.8", 200),
        ("stage=nosuch", "*/*", 422),
        ("after=-1", "*/*", 422),
        ("follow=yes", "*/*", 422),
    ],
)
def test_what_cannot_be_given_is_refused(web: Web, query: str, accept: str, status: int) -> None:
    assert get(web, web.run(RunState.SUCCEEDED), query, accept).status_code == status


def test_a_run_that_is_not_there_has_no_log(web: Web) -> None:
    assert get(web, 99).status_code == 404


@pytest.mark.parametrize("width", [93, 4000])
def test_a_long_log_comes_whole_and_in_small_parts(web: Web, width: int) -> None:
    run = web.run(RunState.SUCCEEDED)
    total = 50_000 if width < 100 else 5_000
    with web.database.write() as connection:
        for start in range(0, total, 250):
            logs.append(connection, run, "build", [f"{start + n:06d} " + "x" * width for n in range(250)], AT)
    parts = list(get(web, run).iter_encoded())
    lines = b"".join(parts).splitlines()
    assert [int(line[:6]) for line in lines] == list(range(total))
    assert max(map(len, parts)) <= logs.MAX_BYTES + 5_000


def test_chunks_of_one_line_are_read_to_the_end(web: Web) -> None:
    run = web.run(RunState.SUCCEEDED)
    for number in range(logs.MAX_CHUNKS + 5):
        web.log(run, str(number))
    assert get(web, run).text.count("\n") == logs.MAX_CHUNKS + 5


@pytest.mark.parametrize("after", [2**31 - 1, 10**12])
def test_no_line_comes_after_the_largest_number(database: Database, after: int) -> None:
    with database.read() as connection:
        assert logs.read(connection, 1, after=after) == []


# Live


def test_a_log_is_followed_from_the_start_to_the_end_of_the_run(web: Web) -> None:
    run = web.run(RunState.RUNNING)
    web.log(run, "one", COLOURED)
    with served(web.app) as url, stream(url, web, run) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["X-Accel-Buffering"] == "no"
        assert answer.headers["Cache-Control"] == "no-store"
        reader = Reader(answer)
        first = reader.until("state")
        assert [(one.id, one.data.get("text")) for one in first[:2]] == [("1", "one"), ("2", "ok 한국어")]
        RunView.model_validate(first[2].data)
        assert first[2].data["state"] == "running"
        web.log(run, "three")
        assert [one.data["n"] for one in reader.until("line")] == [3]
        web.log(run, "four")
        web.change(run, RunState.FAILED)
        rest = reader.until("end")
        assert [(one.kind, one.id) for one in rest] == [("line", "4"), ("state", ""), ("end", "")]
        assert rest[1].data["state"] == "failed"
        assert next(iter(reader), None) is None  # the server closed
        assert reader.raw[0].startswith("retry: ")


def test_a_log_is_resumed_without_gap_or_repeat(web: Web) -> None:
    run = web.run(RunState.RUNNING)
    web.log(run, *(f"line {n}" for n in range(1, 11)))
    seen: list[int] = []
    with served(web.app) as url:
        with stream(url, web, run) as answer:
            for event in Reader(answer):
                if event.kind == "line":
                    seen.append(int(event.id))
                if len(seen) == 4:
                    break
        web.log(run, "line 11")
        web.change(run, RunState.SUCCEEDED)
        with stream(url, web, run, "after=1", **{"Last-Event-ID": str(seen[-1])}) as answer:
            seen += [int(event.id) for event in Reader(answer).until("end") if event.kind == "line"]
    assert seen == list(range(1, 12))


@pytest.mark.parametrize("last", ["", "x", "-1", "9" * 30, "²"])
def test_an_event_id_that_is_none_of_ours_is_left_aside(web: Web, last: str) -> None:
    run = web.run(RunState.SUCCEEDED)
    web.log(run, "one")
    answer = web.client("viewer").get(
        f"/api/v1/runs/{run}/logs", headers={"Accept": "text/event-stream", "Last-Event-ID": last}
    )
    assert "id: 1\n" in answer.text


def test_a_finished_run_ends_its_stream_at_once(web: Web) -> None:
    run = web.run(RunState.SUCCEEDED)
    answer = get(web, run, "follow=1")
    assert answer.text == ""


@pytest.mark.parametrize("accept", ["text/plain", "application/x-ndjson"])
def test_plain_forms_are_followed_too(web: Web, accept: str) -> None:
    run = web.run(RunState.RUNNING)
    web.log(run, "one")
    with served(web.app) as url, stream(url, web, run, "follow=1", accept) as answer:
        lines = answer.iter_lines(chunk_size=1)
        assert b"one" in next(lines)
        web.log(run, "two")
        assert b"two" in next(lines)
        web.change(run, RunState.SUCCEEDED)
        assert list(lines) == []


def test_one_stage_is_followed_alone(web: Web) -> None:
    run = web.run(RunState.RUNNING)
    web.log(run, "checked", stage="check")
    web.log(run, "built")
    web.change(run, RunState.FAILED)
    answer = get(web, run, "stage=build", "text/event-stream")
    assert ("id: 2\n" in answer.text, "id: 1\n" in answer.text) == (True, False)


def test_only_so_many_logs_are_followed_at_a_time(web: Web) -> None:
    run = web.run(RunState.RUNNING)
    with served(web.app) as url:
        with stream(url, web, run), stream(url, web, run):
            with stream(url, web, run) as third:
                assert (third.status_code, third.headers["Retry-After"]) == (429, "10")
                assert third.json()["type"] == "urn:pilotage:problem:too-many-streams-of-one"
            with stream(url, web, run, role="admin"), stream(url, web, run, role="deployer") as fourth:
                assert (fourth.status_code, fourth.headers["Retry-After"]) == (503, "10")
                assert fourth.json()["type"] == "urn:pilotage:problem:too-many-streams"
            with stream(url, web, run, accept="text/plain") as whole:
                assert whole.status_code == 200
        web.change(run, RunState.SUCCEEDED)
        until(lambda: get(web, run, "follow=1").status_code == 200, "the places of readers that left", 5)


def test_a_look_at_the_headers_takes_no_place(web: Web) -> None:
    run = web.run(RunState.RUNNING)
    for _ in range(5):
        with web.client("viewer").head(f"/api/v1/runs/{run}/logs?follow=1") as answer:
            assert (answer.status_code, answer.data) == (200, b"")


def test_silence_is_broken_by_a_heartbeat(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT", 0.3)
    run = web.run(RunState.RUNNING)
    with served(web.app) as url, stream(url, web, run) as answer:
        assert any(line.startswith(b": ") for line in answer.iter_lines(chunk_size=1))
        web.change(run, RunState.SUCCEEDED)


def test_a_stream_does_not_live_for_ever(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LIFETIME", 0.3)
    run = web.run(RunState.RUNNING)
    answer = get(web, run, accept="text/event-stream")
    assert answer.text.rstrip().endswith(f"retry: {streams.RETRY}")
    assert "event: end" not in answer.text


def test_streams_end_when_the_process_is_about_to_stop(web: Web) -> None:
    run = web.run(RunState.RUNNING)
    with served(web.app) as url, stream(url, web, run) as answer:
        reader = Reader(answer)
        reader.until("state")
        web.streams.close()
        assert list(reader) == []


def test_a_revoked_token_reads_no_further(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "RECHECK", 0.1)
    run = web.run(RunState.RUNNING)
    with served(web.app) as url, stream(url, web, run) as answer:
        reader = Reader(answer)
        reader.until("state")
        for row in tokens.list_all(web.database):
            tokens.revoke(web.database, row["id"])
        assert list(reader) == []


def test_a_revoked_token_of_a_reader_who_is_behind_reads_no_further(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "RECHECK", 0.0)
    run = web.run(RunState.RUNNING)
    for _ in range(5):
        web.log(run, *("a line",) * logs.MAX_LINES)
    with get(web, run, accept="text/event-stream") as answer:
        parts = answer.iter_encoded()
        while b"event: line" not in next(parts):
            pass
        for row in tokens.list_all(web.database):
            tokens.revoke(web.database, row["id"])
        web.change(run, RunState.SUCCEEDED)
        assert list(parts) == []
