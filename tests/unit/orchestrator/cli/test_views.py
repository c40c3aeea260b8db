"""How a run looks while it is watched."""

import io
import re

import pytest

from orchestrator.cli.feed import parse
from orchestrator.cli.views import Live, Plain, Silent, view_for
from tests.support.fake_api import run, stage


class Terminal(io.StringIO):
    """Standard output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "terminal", "json", "kind"),
    [
        ({"TERM": "xterm"}, True, False, Live),
        ({"TERM": "xterm"}, False, False, Plain),
        ({"TERM": "dumb"}, True, False, Plain),
        ({}, True, False, Plain),
        ({"TERM": "xterm"}, True, True, Silent),
    ],
)
def test_the_view_follows_from_the_terminal(
    environ: dict[str, str], terminal: bool, json: bool, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout", Terminal() if terminal else io.StringIO())

    assert type(view_for(environ, json=json, compact=False, colour=True)) is kind


@pytest.mark.parametrize(
    ("environ", "colour", "coloured"), [({}, True, True), ({"NO_COLOR": "1"}, True, False), ({}, False, False)]
)
def test_a_terminal_gets_a_tree_with_signs_and_words(
    environ: dict[str, str], colour: bool, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    stages = [
        stage("build", "succeeded", seconds=12.0, finished_at="2026-11-24T03:11:14Z"),
        stage("health", "running", started_at="2026-11-24T03:11:14Z"),
    ]

    view = view_for({"TERM": "xterm-256color", **environ}, json=False, compact=False, colour=colour)
    view.show(run(title="\x1b[2J메뉴", stages=stages))
    view.beat({})
    view.close()

    assert "run 42 plate-web / stg 메뉴" in screen.getvalue()
    assert "✓ build   succeeded  12 s" in screen.getvalue()
    assert "▶ health  running" in screen.getvalue()
    assert "\x1b[2J" not in screen.getvalue()
    assert ("\x1b[34m" in screen.getvalue()) is coloured


def test_what_waits_for_its_turn_says_for_how_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = [stage("check", "succeeded"), stage("build", "waiting"), stage("push", "queued")]
    gated = run(state="waiting", reason="waiting", stages=stages, waiting_since="2026-11-24T03:11:14Z")
    Plain().beat(gated)
    Plain().beat(
        run(state="waiting", reason="waiting", stages=[], started_at=None, waiting_since="2026-11-24T03:11:14Z")
    )
    beats = [line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert re.fullmatch(r"still build waiting for \d.*", beats[0])
    assert re.fullmatch(r"still waiting.* for \d.*", beats[1])
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    view = view_for({"TERM": "xterm"}, json=False, compact=False, colour=False)
    view.show(gated)
    view.close()
    assert re.search(r"build +waiting +\d", screen.getvalue())
    assert not re.search(r"push +queued +\d", screen.getvalue())


def test_a_compact_tree_shows_only_what_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    view = view_for({"TERM": "xterm"}, json=False, compact=True, colour=True)
    view.show(run(stages=[stage("build", "succeeded"), stage("health", "waiting")]))
    view.close()

    assert "build" not in screen.getvalue()
    assert "health" in screen.getvalue()


def test_a_pipe_hears_of_a_wait_once(capsys: pytest.CaptureFixture[str]) -> None:
    view = Plain()
    started = {"started_at": "2026-11-24T03:11:14Z"}
    for state, reason, attempt in (("running",) * 2 + (1,), ("waiting", "retrying", 2), ("running",) * 2 + (2,)):
        sentence = "Argo CD does not answer." if state == "waiting" else ""
        thing = {"state": state, "reason": reason, "sentence": sentence, **started}
        view.show(run(**thing, stages=[stage("health", **{**thing, "attempt": attempt})]))
    failed = {"state": "failed", "reason": "degraded", "sentence": "No.", "finished_at": "2026-11-24T03:12:00Z"}
    view.show(run(**failed, stages=[stage("health", **failed), stage("after", "skipped", reason="not_reached")]))

    assert [line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines()] == [
        "health running",
        "health waiting (retrying): Argo CD does not answer.",
        "health running",
        "health failed (degraded): No.",
    ]


def test_each_watcher_of_a_run_is_told_the_same_time(capsys: pytest.CaptureFixture[str]) -> None:
    going = stage("build", "running", started_at="2026-11-24T03:11:14Z")
    for _ in range(2):
        Plain().show(run(stages=[going]))

    assert capsys.readouterr().out == "2026-11-24T03:11:14Z build running\n" * 2


def test_a_stage_that_runs_again_has_not_just_begun(capsys: pytest.CaptureFixture[str]) -> None:
    view = Plain()
    for state in ("running", "waiting", "running"):
        view.show(run(stages=[stage("build", state, started_at="2026-11-24T03:11:14Z")]))

    first, *later = [line.split(" ", 1)[0] for line in capsys.readouterr().out.splitlines()]
    assert later == sorted(later)
    assert later[0] > first


def test_a_pipe_hears_of_the_run_what_no_stage_says(capsys: pytest.CaptureFixture[str]) -> None:
    view = Plain(compact=True)
    view.show(run(state="waiting", reason="on_hold", sentence="Held.", stages=[stage("check", "succeeded")]))
    view.show(run(ending="succeeded", stages=[stage("health", "succeeded", reason="healthy")]))

    said = [line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert said == ["run 42 waiting (on_hold): Held.", "run 42 succeeded"]


def test_events_are_read_off_a_stream() -> None:
    lines = (
        b': comment\n\nid: 1\nevent: line\ndata: {"n":\ndata: 1}\n\nevent: state\ndata:{}\nretry: 5\n\n'
        b"data: {}\n\nevent: line\ndata: not json\n\nevent: line\ndata: []\n\nid: x\nevent: line\ndata: {}\n\n"
        b"event: end\n\nevent: line\ndata: {}"
    ).split(b"\n")

    assert [(event.kind, event.data, event.id) for event in parse(lines)] == [
        ("line", {"n": 1}, 1),
        ("state", {}, -1),
        ("end", {}, -1),
    ]


WAITS = run(
    state="waiting",
    reason="awaiting_approval",
    sentence="The run waits for approval.",
    next_step="Approve it with `pilotage run approve 42`.",
    who_acts="developer",
    stages=[stage("build", "waiting", reason="awaiting_approval", sentence="The run waits for approval.")],
)
ADVICE = "Next (developer): Approve it with `pilotage run approve 42`."


def test_what_waits_for_a_person_says_what_to_do_once(capsys: pytest.CaptureFixture[str]) -> None:
    view = Plain()
    for seen in (WAITS, WAITS, run(), {**WAITS, "who_acts": "nobody"}):
        view.show(seen)

    assert capsys.readouterr().out.count(ADVICE) == 1


def test_the_tree_of_what_waits_for_a_person_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("COLUMNS", "120")

    view = Live(compact=True, colour=False)
    view.show(WAITS)
    view.close()

    assert ADVICE in screen.getvalue()
