"""Watching a run: its end is the exit code, whatever happens to the connection."""

# ruff: noqa: E501 - a row of a table stays one line
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.cli.api import Api
from orchestrator.cli.errors import Code
from orchestrator.cli.watching import WatchOptions, watch
from tests.support.commands import RUN_URL, Pilotage
from tests.support.fake_api import FakeApi, fake_api, log_line, problem, run, sse, stage
from tests.support.waiting import until


@pytest.mark.parametrize(("ending", "code"), [("succeeded", 0), ("failed", 1), ("cancelled", 5), ("superseded", 5)])
def test_watching_a_finished_run_ends_at_once_with_its_code(
    pilotage: Pilotage, api: FakeApi, ending: str, code: int
) -> None:
    api.runs[42] = run(ending=ending)
    said = pilotage("run", "watch", "42", "--url", api.url)

    assert (said.code, said.lines[-1]) == (code, RUN_URL)
    assert api.asked("GET", "/runs/42/logs") == []


def test_waiting_too_long_exits_4_and_the_run_goes_on(pilotage: Pilotage, api: FakeApi) -> None:
    api.runs[42] = run()
    api.streams = [lambda: waiting(api)]

    said = pilotage("run", "watch", "42", "--timeout", "0.2s", "--url", api.url)

    assert (said.code, said.lines[-1]) == (4, RUN_URL)
    assert said.err == ("The time to wait is over; run 42 goes on; see it again with `pilotage run watch 42`.\n")
    assert [asked.path for asked in api.server.asked if asked.method == "POST"] == []


def test_a_watch_that_is_over_asks_nothing_more(pilotage: Pilotage, api: FakeApi) -> None:
    api.runs[42] = run()
    api.streams = [lambda: waiting(api)]
    pilotage("run", "watch", "42", "--timeout", "0.2s", "--url", api.url)
    asked = len(api.asked("GET", "/runs/42"))

    api.over.set()  # the server ends the stream
    until(lambda: not any(thread.name == "feed" for thread in threading.enumerate()), "the end of the feed", 10)

    assert len(api.asked("GET", "/runs/42")) == asked


def waiting(api: FakeApi, *first: bytes) -> Iterator[bytes]:
    yield b": hello\n\n"
    yield from first
    api.over.wait(20)


def test_a_pipe_gets_one_line_per_change_and_a_summary_without_escape_codes(pilotage: Pilotage, api: FakeApi) -> None:
    built = stage("build", "succeeded", finished_at="2026-11-24T03:12:00Z", seconds=58.4)
    going = run(title="\x1b[31mred", stages=[stage("build", "running"), stage("health")])
    unhealthy = stage(
        "health", "failed", reason="degraded", sentence="The application is unhealthy: \x1b[2Jpod x: ErrImagePull.",
        finished_at="2026-11-24T03:13:10Z", seconds=70,
    )  # fmt: skip
    api.runs[42] = going
    api.streams = [
        lambda: iter(
            [
                sse("line", log_line(1), 1),
                sse("state", going),
                sse("state", run(stages=[built, stage("health", "waiting", reason="progressing")])),
                sse("state", run(ending="failed", reason="degraded", finished_at="2026-11-24T03:13:10Z", stages=[built, unhealthy])),
                sse("end", {}),
            ]
        )
    ]  # fmt: skip

    said = pilotage("run", "watch", "42", "--url", api.url)

    assert said.code == 1
    assert "\x1b" not in said.out + said.err
    assert [line.split(" ", 1)[1] for line in said.lines[:4]] == [
        "build running",
        "build succeeded in 58 s",
        "health waiting (progressing)",
        "health failed (degraded) in 1m10s: The application is unhealthy: pod x: ErrImagePull.",
    ]
    assert said.lines[1].startswith("2026-11-24T03:12:00Z ")
    assert said.lines[4:] == [
        "",
        "STAGE   STATE              TIME   WHY",
        "build   succeeded          58 s",
        "health  failed (degraded)  1m10s  The application is unhealthy: pod x: ErrImagePull.",
        "",
        "run 42 failed (degraded) after 2m10s",
        "The image build failed.",
        "Next (developer): Read the end of the build log.",
        RUN_URL,
    ]


def test_compact_leaves_out_what_is_over_and_good(pilotage: Pilotage, api: FakeApi) -> None:
    api.runs[42] = run(ending="failed", stages=[stage("build", "succeeded"), stage("health", "failed")])

    said = pilotage("run", "watch", "42", "--compact", "--url", api.url)

    assert [line.split(" ", 1)[1].split(":")[0] for line in said.lines[:2]] == [
        "health failed",
        "run 42 failed (build_failed)",
    ]


def test_a_broken_stream_is_taken_up_again_without_gap_or_repeat(pilotage: Pilotage, api: FakeApi) -> None:
    api.runs[42] = run()
    api.streams = [
        lambda: iter([sse("line", log_line(1), 1), sse("line", log_line(2), 2)]),
        lambda: iter([sse("line", log_line(2), 2), sse("line", log_line(3), 3), sse("end", {})]),
    ]

    said = pilotage("run", "logs", "42", "-f", "--url", api.url)

    assert (said.code, said.lines) == (0, ["line 1", "line 2", "line 3"])
    assert [asked.headers.get("last-event-id") for asked in api.asked("GET", "/runs/42/logs")] == [None, "2"]


def test_following_a_log_ends_with_the_run_even_without_an_end_event(pilotage: Pilotage, api: FakeApi) -> None:
    api.runs[42] = run(ending="succeeded")
    api.streams = [lambda: iter([sse("line", log_line(1), 1)])]

    assert pilotage("run", "logs", "42", "-f", "--url", api.url).lines == ["line 1"]


def test_a_log_is_followed_on_when_the_server_could_not_say_how_its_run_is(pilotage: Pilotage, api: FakeApi) -> None:
    """It ends its streams and answers 503 while its database is away."""

    def ends_without_a_database() -> Iterator[bytes]:
        yield sse("line", log_line(1), 1)
        api.answers["GET /runs/42"] = problem(503, "The database is away.")

    def comes_back() -> Iterator[bytes]:
        api.answers.clear()
        yield sse("line", log_line(2), 2)
        yield sse("end", {})

    api.runs[42] = run(ending="succeeded")
    api.streams = [ends_without_a_database, comes_back]

    said = pilotage("run", "logs", "42", "-f", "--url", api.url)

    assert (said.code, said.lines) == (0, ["line 1", "line 2"])


def test_a_server_without_free_streams_is_asked_for_the_state_instead(pilotage: Pilotage, api: FakeApi) -> None:
    states = iter([run(), run(), run(ending="succeeded")])
    last = run(ending="succeeded")

    class Changing(dict[int, Any]):
        def get(self, key: int, default: Any = None) -> Any:
            asked = api.server.asked[-1].path
            return run() if asked.endswith("/logs") else next(states, last)

    api.runs = Changing()

    assert pilotage("run", "watch", "42", "--url", api.url).code == 0


def test_a_silent_pipe_hears_a_sign_of_life(capsys: pytest.CaptureFixture[str]) -> None:
    beaten = threading.Event()
    going = run(stages=[stage("build", "succeeded"), stage("health", "waiting", started_at="2026-11-24T03:11:14Z")])

    def stream() -> Any:
        beaten.wait(0.5)
        yield sse("state", run(ending="succeeded"))

    with fake_api(runs={42: going}, streams=[stream]) as api:
        assert watch(Api(api.url), 42, WatchOptions(heartbeat=0.15)) is Code.SUCCEEDED

    beats = [line for line in capsys.readouterr().out.splitlines() if " still " in line]
    assert beats
    assert beats[0].split(" ", 1)[1].startswith("still health waiting for ")
