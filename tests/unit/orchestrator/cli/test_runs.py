"""``pilotage run``, ``app`` and ``delivery`` against an API over real HTTP: what is asked, what is printed, and how it exits."""

# ruff: noqa: E501 - a row of a table stays one line

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import main
from tests.support.fake_api import FakeApi, fake_api, log_line, problem, run, sse, stage
from tests.support.loopback import Reply

RUN_URL = "https://pilotage.example.com/runs/42"


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@pytest.fixture
def pilotage(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Said]:
    monkeypatch.setenv("PILOTAGE_STATE_DIR", str(tmp_path))
    for name in ("PILOTAGE_URL", "PILOTAGE_TOKEN", "PILOTAGE_TOKEN_FILE", "PILOTAGE_CONFIG"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = capsys.readouterr()
        return Said(int(ended.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as fake:
        yield fake


Pilotage = Callable[..., Said]


@pytest.mark.parametrize(("ending", "code"), [("succeeded", 0), ("failed", 1), ("cancelled", 5), ("superseded", 5)])
def test_watching_a_finished_run_ends_at_once_with_its_code(
    pilotage: Pilotage, api: FakeApi, ending: str, code: int
) -> None:
    api.runs[42] = run(ending=ending)
    said = pilotage("run", "watch", "42", "--url", api.url)

    assert (said.code, said.lines[-1]) == (code, RUN_URL)
    assert api.asked("GET", "/runs/42/logs") == []


@pytest.mark.parametrize(
    "arguments", [("run", "watch"), ("run", "watch", "0"), ("run", "wach", "42"), ("run", "list", "--state", "done")]
)
def test_wrong_use_exits_2(pilotage: Pilotage, arguments: tuple[str, ...]) -> None:
    assert pilotage(*arguments).code == 2


def test_a_run_that_is_not_there_exits_2_with_the_servers_sentence(pilotage: Pilotage, api: FakeApi) -> None:
    said = pilotage("run", "show", "7", "--url", api.url)

    assert (said.code, said.out) == (2, "")
    assert said.err == "pilotage: Not possible (HTTP 404): there is no /runs/7.\n"


def test_an_api_that_does_not_answer_exits_3_and_says_what_to_do(pilotage: Pilotage) -> None:
    said = pilotage("run", "list", "--url", "http://127.0.0.1:1")

    assert (said.code, said.out) == (3, "")
    assert said.err == (
        "pilotage: Pilotage does not answer at http://127.0.0.1:1 ([Errno 111] Connection refused);"
        " start it with `pilotage up`, or name it with --url.\n"
    )


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (
            problem(401, "x"),
            "Pilotage does not accept the token; set PILOTAGE_TOKEN to one made with `pilotage token create`.",
        ),
        (problem(403, "needs deployer."), "The token's role does not allow this: needs deployer."),
        (problem(503, "database is down"), "Pilotage does not answer at"),
        (Reply(status=302, headers={"Location": "/login"}), "answered HTTP 302, not like Pilotage; check --url."),
        (Reply(body="<html>"), "answered something that is not Pilotage's JSON; check --url."),
        (Reply(body="[]"), "answered something that is not Pilotage's JSON; check --url."),
    ],
)
def test_what_is_not_pilotage_or_refuses_the_token_exits_3(
    pilotage: Pilotage, api: FakeApi, reply: Reply, sentence: str
) -> None:
    api.answers["GET /runs"] = reply

    said = pilotage("run", "list", "--url", api.url)

    assert said.code == 3
    assert sentence in said.err


def test_waiting_too_long_exits_4_and_the_run_goes_on(pilotage: Pilotage, api: FakeApi) -> None:
    api.runs[42] = run()
    api.streams = [lambda: waiting(api)]

    said = pilotage("run", "watch", "42", "--timeout", "0.2s", "--url", api.url)

    assert (said.code, said.lines[-1]) == (4, RUN_URL)
    assert said.err == ("The time to wait is over; run 42 goes on; see it again with `pilotage run watch 42`.\n")
    assert [asked.path for asked in api.server.asked if asked.method == "POST"] == []


def waiting(api: FakeApi, *first: bytes) -> Iterator[bytes]:
    yield b": hello\n\n"
    yield from first
    api.over.wait(20)


def test_ctrl_c_detaches_with_130_and_says_how_to_come_back(api: FakeApi) -> None:
    api.runs[42] = run(stages=[stage("build", "running")])
    api.streams = [lambda: waiting(api)]
    environ = {**os.environ, "PILOTAGE_URL": api.url, "PYTHONPATH": str(Path(__file__).parents[4])}
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator.cli", "run", "watch", "42"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert process.returncode == 130
    assert first.endswith("build running\n")
    assert out.splitlines()[-1] == RUN_URL
    assert err == "Detached; run 42 goes on; see it again with `pilotage run watch 42`.\n"


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


def test_a_server_without_free_streams_is_asked_for_the_state_instead(pilotage: Pilotage, api: FakeApi) -> None:
    states = iter([run(), run(), run(ending="succeeded")])
    last = run(ending="succeeded")

    class Changing(dict[int, Any]):
        def get(self, key: int, default: Any = None) -> Any:
            asked = api.server.asked[-1].path
            return run() if asked.endswith("/logs") else next(states, last)

    api.runs = Changing()

    assert pilotage("run", "watch", "42", "--url", api.url).code == 0


def test_json_is_one_document_and_nothing_else(pilotage: Pilotage, api: FakeApi) -> None:
    api.runs[42] = run()
    api.streams = [lambda: iter([sse("state", run(ending="succeeded"))])]

    said = pilotage("run", "watch", "42", "-o", "json", "--url", api.url)

    assert (said.code, json.loads(said.out), said.err) == (0, run(ending="succeeded"), "")


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (("run", "list"), "/runs"),
        (("run", "show", "42"), "/runs/42"),
        (("app", "list"), "/apps"),
        (("delivery", "list"), "/deliveries"),
        (("delivery", "show", "7"), "/deliveries/7"),
    ],
)
def test_every_reading_command_can_answer_in_json(
    pilotage: Pilotage, api: FakeApi, arguments: tuple[str, ...], path: str
) -> None:
    body = {"items": [{"id": 42, "title": "메뉴"}], "next": "c2"}
    api.answers[f"GET {path}"] = Reply(body=body)

    said = pilotage(*arguments, "-o", "json", "--url", api.url)

    assert (said.code, json.loads(said.out), said.err) == (0, body, "")


def test_a_list_is_a_table_that_fits_wide_letters(pilotage: Pilotage, api: FakeApi) -> None:
    other = run(9, "succeeded", app="주문", created_at=None, commit="", title="")
    api.answers["GET /runs"] = Reply(body={"items": [run(created_at=None), other], "next": "c2"})

    said = pilotage("run", "list", "--app", "plate-web", "--state", "running", "--limit", "2", "--url", api.url)

    assert said.lines == [
        "RUN  STATE      APP        ENVIRONMENT  COMMIT        AGE  TITLE",
        "42   running    plate-web  stg          0123456789ab       메뉴 화면 고침",
        "9    succeeded  주문       stg",
    ]
    assert said.err == "More: --cursor c2\n"
    assert api.asked("GET", "/runs")[0].query == {"app": ["plate-web"], "state": ["running"], "limit": ["2"]}


def test_a_run_is_shown_with_its_proof(pilotage: Pilotage, api: FakeApi) -> None:
    receipt = {"gitops_commit": "feed", "live_images": ["a@sha256:1"]}
    api.runs[42] = run(ending="succeeded", receipt=receipt, actor="hana", rerun_of=40, attempt=2, blocked_by=None)

    said = pilotage("run", "show", "42", "--url", api.url)

    assert said.lines[:5] == [
        "app                   plate-web / stg",
        "trigger               push by hana",
        "commit                0123456789abcdef0123456789abcdef01234567 main",
        "title                 메뉴 화면 고침",
        "author                김하나",
    ]
    assert "attempt               2 (repeats run 40)" in said.lines
    assert "proof: gitops_commit  feed" in said.lines
    assert "proof: live_images    a@sha256:1" in said.lines
    assert said.lines[-1] == RUN_URL


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
        (("two", "stg"), "`stg` follows no single branch; give --ref, --commit or --image."),
        (("one", "stg", "--ref", "a", "--image", "b"), "Give only one of --ref, --commit and --image."),
    ],
)
def test_starting_without_enough_exits_2(
    pilotage: Pilotage, api: FakeApi, arguments: tuple[str, ...], sentence: str
) -> None:
    api.answers["GET /apps"] = Reply(body=APPS)

    said = pilotage("run", "start", *arguments, "--url", api.url)

    assert (said.code, said.err) == (2, f"pilotage: {sentence}\n")
    assert api.asked("POST", "/runs") == []


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


def test_a_run_that_cannot_be_repeated_now_exits_2(pilotage: Pilotage, api: FakeApi) -> None:
    api.answers["POST /runs/42/rerun"] = problem(409, "run 42 is still running")

    said = pilotage("run", "rerun", "42", "--url", api.url)

    assert (said.code, said.err) == (2, "pilotage: Not possible (HTTP 409): run 42 is still running.\n")


@pytest.mark.parametrize("command", [("rerun", "42", "--from"), ("logs", "42", "--stage")])
def test_an_unknown_stage_is_named_before_anything_is_asked(
    pilotage: Pilotage, api: FakeApi, command: tuple[str, ...]
) -> None:
    said = pilotage("run", *command, "biuld", "--url", api.url)

    assert said.code == 2
    assert said.err == (
        "pilotage: There is no stage `biuld`; known are check, build, push, scan, commit, sync, health.\n"
    )
    assert api.server.asked == []


def test_a_log_is_read_while_the_run_goes_on_and_cleaned(pilotage: Pilotage, api: FakeApi) -> None:
    api.runs[42] = run()
    api.lines = [log_line(1), log_line(2, "\x1b[1mbold\x1b[0m\x07 한글"), log_line(3, "x", "push")]

    assert pilotage("run", "logs", "42", "--url", api.url).lines == ["line 1", "bold 한글", "x"]
    assert pilotage("run", "logs", "42", "--stage", "push", "--url", api.url).lines == ["x"]
    assert pilotage("run", "logs", "42", "--after", "2", "--url", api.url).lines == ["x"]
    json_lines = pilotage("run", "logs", "42", "--after", "1", "-o", "json", "--url", api.url).lines
    assert [json.loads(line)["n"] for line in json_lines] == [2, 3]


def test_an_empty_log_says_why(pilotage: Pilotage, api: FakeApi) -> None:
    api.runs[42] = run(stages=[stage("build", "waiting", reason="behind_run", sentence="Another run goes first.")])

    said = pilotage("run", "logs", "42", "--stage", "build", "--url", api.url)

    assert (said.code, said.out) == (0, "")
    assert said.err == "Stage build has no log lines; it is waiting (behind_run). Another run goes first.\n"
    assert pilotage("run", "logs", "42", "--after", "9", "--url", api.url).err == (
        "Run 42 has no log lines after the line named; it is running.\n"
    )


def test_hold_and_release_say_what_follows(pilotage: Pilotage, api: FakeApi) -> None:
    base = "/apps/plate-web/environments/prod"
    api.answers[f"POST {base}/hold"] = Reply(body={"hold": {"reason": "freeze"}})
    api.answers[f"POST {base}/release"] = Reply(status=204)

    held = pilotage("app", "hold", "plate-web", "prod", "--reason", "freeze", "--url", api.url)
    released = pilotage("app", "release", "plate-web", "prod", "--url", api.url)

    assert held.out == "plate-web/prod is on hold; let it go on with `pilotage app release plate-web prod`.\n"
    assert released.out == "plate-web/prod is released.\n"
    assert api.asked("POST", f"{base}/hold")[0].json() == {"reason": "freeze"}


def test_apps_and_deliveries_are_tables(pilotage: Pilotage, api: FakeApi) -> None:
    crash = {"id": 42, "state": "failed", "reason": "degraded", "sentence": "It crashes."}
    stopped = {"id": 43, "state": "cancelled", "reason": "cancelled", "sentence": "A person cancelled the run."}
    places = [
        {
            "name": "stg",
            "last_run": stopped,
            "in_git": {"run": 42, "tag": "sha-b", "proven": False, "verdict": crash},
            "deployed": {"run": 41, "tag": "sha-a"},
            "hold": None,
        },
        {
            "name": "dev",
            "last_run": stopped,
            "in_git": {"run": 40, "tag": "", "commit": "a" * 40, "proven": True, "verdict": None},
        },
        {"name": "prod", "last_run": None, "in_git": None, "deployed": None, "hold": {"reason": "freeze"}},
    ]
    api.answers["GET /apps"] = Reply(body={"items": [{"name": "plate-web", "environments": places}]})
    delivery = {
        "id": 7,
        "hook": "github",
        "event": "push",
        "outcome": "accepted",
        "received_at": "T",
        "runs": [42, 43],
    }
    ignored = delivery | {"id": 8, "outcome": "ignored", "runs": [], "reason": "branch", "detail": "no rule"}
    api.answers["GET /deliveries"] = Reply(body={"items": [delivery, ignored], "next": None})
    api.answers["GET /deliveries/7"] = Reply(body=delivery)

    assert pilotage("app", "list", "--url", api.url).lines == [
        "APP        ENVIRONMENT  IN GIT                        PROVEN HEALTHY  LAST RUN      HOLD    WHY",
        "plate-web  stg          sha-b (run 42), not proven    sha-a (run 41)  43 cancelled          It crashes.",
        "plate-web  dev          aaaaaaaaaaaaaaaaaaa (run 40)                  43 cancelled          A person cancelled the run.",
        "plate-web  prod                                                                     freeze",
    ]
    assert pilotage("delivery", "list", "--url", api.url).lines == [
        "ID  RECEIVED  HOOK    EVENT  OUTCOME   WHAT",
        "7   T         github  push   accepted  run 42, 43",
        "8   T         github  push   ignored   branch no rule",
    ]
    assert "runs         run 42, 43" in pilotage("delivery", "show", "7", "--url", api.url).lines


def test_the_token_comes_from_the_environment_or_a_private_file(
    pilotage: Pilotage, api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.token = "pt_secret"
    api.runs[42] = run()
    show = ("run", "show", "42", "--url", api.url)
    assert pilotage(*show).code == 3

    (tmp_path / "token").write_text("pt_secret\n")
    (tmp_path / "token").chmod(0o600)
    assert pilotage(*show).code == 0

    (tmp_path / "token").chmod(0o644)
    said = pilotage(*show)
    assert said.code == 3
    assert said.err == f"pilotage: Others can read the token file {tmp_path}/token; run `chmod 600` on it.\n"

    monkeypatch.setenv("PILOTAGE_TOKEN", "pt_secret")
    assert pilotage(*show).code == 0
    assert pilotage(*show, "--token-file", "/no/such").code == 0


def test_a_token_file_that_is_named_must_be_there(pilotage: Pilotage, api: FakeApi) -> None:
    said = pilotage("run", "list", "--token-file", "/no/such/token", "--url", api.url)

    assert (said.code, said.err) == (2, "pilotage: There is no token file /no/such/token.\n")


@pytest.mark.parametrize("url", ["127.0.0.1:8480", "ftp://x", "http://"])
def test_an_address_that_is_none_exits_2(pilotage: Pilotage, url: str) -> None:
    said = pilotage("run", "list", "--url", url)

    assert said.code == 2
    assert said.err.endswith("is not an address; write it as in http://127.0.0.1:8480.\n")
