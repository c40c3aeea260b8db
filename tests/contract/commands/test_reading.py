"""Runs, logs, apps and deliveries are read as tables and as JSON."""

# ruff: noqa: E501 - a row of a table stays one line
import json
import re

import pytest

from orchestrator.domain.events import DeliveryOutcome
from orchestrator.web.models import MAX_LIMIT
from tests.support.commands import RUN_URL, Pilotage
from tests.support.fake_api import FakeApi, log_line, run, sse, stage
from tests.support.loopback import Reply


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
        (("app", "show", "plate-web"), "/apps/plate-web"),
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
    other = run(9, "succeeded", app="주문", created_at=None, commit="", title="", ref="")
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
    approved = {"approved_by": "mina", "approved_at": "2026-11-24T03:11:04.250Z"}
    again = {"actor": "hana", "rerun_of": 40, "attempt": 2, "blocked_by": None}
    api.runs[42] = run(ending="succeeded", receipt=receipt, **again, **approved)

    said = pilotage("run", "show", "42", "--url", api.url)

    assert said.lines[:6] == [
        "app                   plate-web / stg",
        "trigger               push by hana",
        "approved              by mina at 2026-11-24T03:11:04Z",
        "commit                0123456789abcdef0123456789abcdef01234567 main",
        "title                 메뉴 화면 고침",
        "author                김하나",
    ]
    assert "attempt               2 (repeats run 40)" in said.lines
    assert "proof: gitops_commit  feed" in said.lines
    assert "proof: live_images    a@sha256:1" in said.lines
    assert said.lines[-1] == RUN_URL


@pytest.mark.parametrize(
    ("ending", "times", "head"),
    [
        ("succeeded", {"seconds": 2032.0, "waited_seconds": 1902.0}, r"run 42 succeeded after 2m10s, waited 31m42s"),
        ("succeeded", {"seconds": 130.0, "waited_seconds": 0.2}, r"run 42 succeeded after 2m10s"),
        ("succeeded", {"seconds": 130.0}, r"run 42 succeeded after 2m10s"),
        ("running", {"waited_seconds": 1902.0}, r"run 42 running, waited 31m42s"),
        ("running", {"waited_seconds": 0.2}, r"run 42 running"),
        ("running", {"waiting_since": "2026-11-24T03:11:02Z", "state": "waiting"}, r"run 42 waiting.* for \d.*"),
    ],
    ids=["waited", "hardly waited", "an older server", "has waited", "is at work", "waits"],
)
def test_work_and_waiting_are_told_apart(
    pilotage: Pilotage, api: FakeApi, ending: str, times: dict[str, object], head: str
) -> None:
    api.runs[42] = run(ending=ending, **{"seconds": None, **times})
    said = pilotage("run", "show", "42", "--url", api.url)
    assert any(re.fullmatch(head, line) for line in said.lines), said.lines


def test_a_run_that_was_taken_back_names_the_one_that_goes_back(pilotage: Pilotage, api: FakeApi) -> None:
    api.runs[42] = run(ending="failed", taken_back_by=43)
    assert "taken back  by run 43" in pilotage("run", "show", "42", "--url", api.url).lines


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
    assert said.err == "Stage build has no log lines; its state: waiting (behind_run). Another run goes first.\n"
    assert pilotage("run", "logs", "42", "--after", "9", "--url", api.url).err == (
        "Run 42 has no log lines after the line named; its state: running.\n"
    )


def test_an_app_is_shown_with_what_is_there_now_and_when_that_was_seen(pilotage: Pilotage, api: FakeApi) -> None:
    git = {"value": "hotfix", "commit": "c" * 40, "author": "Ann", "since": "T1", "run": None, "by_pilotage": False}
    argo = {"sync": "Synced", "health": "Healthy", "syncing": True, "live": ["sha-a", "sha-b"]}
    stg = {
        "name": "stg",
        "git_now": git | {"seen_at": "T2", "current": True, "trouble": ""},
        "argocd_now": argo | {"seen_at": "T3", "current": False, "trouble": "Argo CD is away."},
        "in_git": {"run": 42, "tag": "sha-b", "proven": False, "verdict": None, "by": "kim", "since": "T0"},
        "last_run": {"id": 43, "state": "succeeded", "reason": "healthy", "sentence": "It is healthy."},
        "hold": {"by": "mina", "reason": "freeze"},
    }
    prod = {"name": "prod", "git_now": git | {"run": 7, "by_pilotage": True, "seen_at": "T2", "current": True}}
    api.answers["GET /apps/plate-web"] = Reply(body={"name": "plate-web", "environments": [stg, prod]})

    assert pilotage("app", "show", "plate-web", "--url", api.url).lines == [
        "plate-web stg",
        "  in git now      hotfix, by Ann, not by Pilotage; commit cccccccccccc, T1; seen T2",
        "  argo cd now     unknown; a sync is under way; live sha-a, sha-b; was Healthy, Synced; seen T3; Argo CD is away.",
        "  committed       sha-b (run 42); by kim; T0",
        "  last run        43 succeeded",
        "  hold            by mina: freeze",
        "plate-web prod",
        "  in git now      hotfix; commit cccccccccccc by run 7, T1; seen T2",
        "  argo cd now     unknown",
    ]


@pytest.mark.parametrize(("words", "path"), [(("show", "plate-web"), "/apps/plate-web"), (("list",), "/apps")])
def test_an_app_whose_branches_cannot_be_read_says_since_when_and_why(
    pilotage: Pilotage, api: FakeApi, words: tuple[str, ...], path: str
) -> None:
    unread = {"since": "T1", "problem": "The token has expired."}
    web = {"name": "plate-web", "environments": [{"name": "stg"}], "unread": unread}
    api.answers[f"GET {path}"] = Reply(body={**web, "items": [web, {"name": "plate-api", "unread": None}]})

    assert pilotage("app", *words, "--url", api.url).err == (
        "plate-web: pushes without a hook go unnoticed since T1: The token has expired.\n"
    )


NOW = ("IN GIT NOW", "ARGO CD NOW")


def test_apps_and_deliveries_are_tables(pilotage: Pilotage, api: FakeApi) -> None:
    crash = {"id": 42, "state": "failed", "reason": "degraded", "sentence": "It crashes."}
    stopped = {"id": 43, "state": "cancelled", "reason": "cancelled", "sentence": "A person cancelled the run."}
    places = [
        {
            "name": "stg",
            "git_now": {"value": "hotfix", "author": "Ann", "by_pilotage": False, "current": True},
            "argocd_now": {"health": "Progressing", "sync": "Synced", "current": True},
            "last_run": stopped,
            "in_git": {"run": 42, "tag": "sha-b", "proven": False, "verdict": crash},
            "deployed": {"run": 41, "tag": "sha-a"},
            "hold": None,
        },
        {
            "name": "dev",
            "git_now": {"value": "sha-c", "author": "bot", "by_pilotage": True, "current": True},
            "argocd_now": {"health": "Healthy", "sync": "Synced", "current": False},
            "last_run": stopped,
            "in_git": {"run": 40, "tag": "", "commit": "a" * 40, "proven": True, "verdict": None},
        },
        {"name": "prod", "last_run": None, "in_git": None, "deployed": None, "hold": {"reason": "freeze"}},
    ]
    stray = {"app": "old", "environment": "prod", "by": "kim", "reason": "freeze", "since": "T"}
    apps = {"items": [{"name": "plate-web", "environments": places}], "stray_holds": [stray]}
    api.answers["GET /apps"] = Reply(body=apps)
    delivery = {
        "id": 7,
        "hook": "github",
        "event": "push",
        "outcome": "accepted",
        "received_at": "T",
        "changes": [{"ref": "refs/heads/main", "commit": "a" * 40}, {"ref": "refs/tags/v1", "commit": None}],
        "runs": [42, 43],
    }
    ignored = delivery | {"id": 8, "outcome": "ignored", "runs": [], "reason": "branch", "detail": "no rule"}
    api.answers["GET /deliveries"] = Reply(body={"items": [delivery, ignored], "next": None})
    api.answers["GET /deliveries/7"] = Reply(body=delivery)

    said = pilotage("app", "list", "--url", api.url)
    by_hand = "hotfix, by Ann, not by Pilotage", "Progressing, Synced"
    assert [re.split(r"  +", line) for line in said.lines] == [
        ["APP", "ENVIRONMENT", *NOW, "COMMITTED", "PROVEN HEALTHY", "LAST RUN", "HOLD", "WHY"],
        ["plate-web", "stg", *by_hand, "sha-b (run 42), not proven", "sha-a (run 41)", "43 cancelled", "It crashes."],
        ["plate-web", "dev", "sha-c", "unknown", "aaaaaaaaaaaaaaaaaaa (run 40)", "43 cancelled", stopped["sentence"]],
        ["plate-web", "prod", "unknown", "unknown", "freeze"],
    ]
    assert said.err == (
        "old prod is on hold by kim: freeze. It is no longer configured; `pilotage app release old prod` releases it.\n"
    )
    assert pilotage("delivery", "list", "--url", api.url).lines == [
        "ID  RECEIVED  HOOK    EVENT  OUTCOME   WHAT",
        "7   T         github  push   accepted  run 42, 43",
        "8   T         github  push   ignored   branch: no rule",
    ]
    assert pilotage("delivery", "show", "7", "--url", api.url).lines[-2:] == [
        f"changes      refs/heads/main {'a' * 40}, refs/tags/v1 deleted",
        "runs         run 42, 43",
    ]


@pytest.mark.parametrize("group", ["run", "delivery"])
def test_a_list_may_be_as_long_as_the_api_allows(pilotage: Pilotage, api: FakeApi, group: str) -> None:
    api.answers["GET /runs"] = api.answers["GET /deliveries"] = Reply(body={"items": [], "next": None})

    assert pilotage(group, "list", "--limit", str(MAX_LIMIT), "--url", api.url).code == 0
    assert pilotage(group, "list", "--limit", str(MAX_LIMIT + 1), "--url", api.url).code == 2


def test_a_wrong_outcome_is_answered_with_those_that_there_are(pilotage: Pilotage, api: FakeApi) -> None:
    said = pilotage("delivery", "list", "--outcome", "rejected", "--url", api.url)

    assert said.code == 2
    assert all(outcome in said.err for outcome in DeliveryOutcome)


def test_an_empty_list_says_so_and_prints_no_bare_head(pilotage: Pilotage, api: FakeApi) -> None:
    api.answers["GET /runs"] = api.answers["GET /deliveries"] = Reply(body={"items": [], "next": None})
    api.answers["GET /apps"] = Reply(body={"items": []})
    where = ("--url", api.url)

    for words, sentence in (
        (("run", "list"), "No runs."),
        (("run", "list", "--state", "failed"), "No such runs."),
        (("delivery", "list"), "No deliveries."),
        (("delivery", "list", "--hook", "github"), "No such deliveries of `github`."),
        (
            ("delivery", "list", "--hook", "gihub"),
            "No such deliveries of `gihub`; forges are github, gitlab, gitea, forgejo, gogs.",
        ),
        (("delivery", "list", "--outcome", "refused"), "No such deliveries."),
        (("app", "list"), "No apps are configured."),
    ):
        said = pilotage(*words, *where)
        assert (said.code, said.out, said.err) == (0, "", f"{sentence}\n")


def test_an_unknown_app_is_not_an_empty_list(pilotage: Pilotage, api: FakeApi) -> None:
    api.answers["GET /runs"] = Reply(body={"items": [], "next": None})
    api.answers["GET /apps"] = Reply(body={"items": [{"name": "plate-web", "environments": [{"name": "stg"}]}]})

    said = pilotage("run", "list", "--app", "plate-wbe", "--url", api.url)
    assert (said.code, said.err) == (2, "pilotage: There is no app `plate-wbe`; known are plate-web.\n")
    assert pilotage("run", "list", "--app", "plate-web", "--url", api.url).err == "No such runs.\n"
    for only in ((), ("--app", "plate-web")):
        said = pilotage("run", "list", *only, "--env", "stag", "--url", api.url)
        assert (said.code, said.err) == (2, "pilotage: There is no environment `stag`; known are stg.\n")


def test_runs_of_a_commit_are_found_however_it_is_written(pilotage: Pilotage, api: FakeApi) -> None:
    by_hand = {"title": "", "commit": ""}
    runs = [run(8, **by_hand, ref="refs/heads/main"), run(9, **by_hand, ref="", image="1.4.0")]
    api.answers["GET /runs"] = Reply(body={"items": runs, "next": None})

    said = pilotage("run", "list", "--commit", "0123ABC", "--url", api.url)

    assert api.asked("GET", "/runs")[0].query == {"commit": ["0123abc"], "limit": ["20"]}
    assert [line.split()[-1] for line in said.lines] == ["TITLE", "main", "1.4.0"]


def test_a_reason_is_broken_for_a_terminal_alone(
    pilotage: Pilotage, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = "It crashes. " + 20 * "CrashLoopBackOff "
    api.runs[42] = run(stages=[stage("health", "failed", reason="degraded", sentence=sentence)])
    show = ("run", "show", "42", "--url", api.url)

    assert f"health  failed (degraded)        {sentence.strip()}" in pilotage(*show).lines
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    lines = pilotage(*show).lines
    (first,) = (number for number, line in enumerate(lines) if line.startswith("health"))
    assert lines[first] == "health  failed (degraded)        It crashes. CrashLoopBackOff CrashLoopBackOff"
    assert lines[first + 1] == " " * 33 + "CrashLoopBackOff CrashLoopBackOff"
    assert lines.count("") == 2
