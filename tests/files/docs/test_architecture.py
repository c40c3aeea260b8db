"""The page on the architecture says what the import contracts and the engine say."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import STAGE_ORDER, Done, Fail, Run, RunState, StageName, Wait
from orchestrator.engine.facts import (
    Approved,
    Blocked,
    CancelRequested,
    Claimed,
    Fact,
    LeaseExpired,
    Reported,
    Stopped,
    Superseded,
    Troubled,
)
from orchestrator.engine.transitions import advance
from tests.support.factories import NOW, make_run

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")


def facts(stage: StageName) -> list[Fact]:
    return [
        Claimed(stage=stage, timeout=600),
        *(
            Reported(stage=stage, outcome=outcome)
            for outcome in (Done(), Wait(reason=Reason.RETRYING), Fail(reason=Reason.INTERNAL))
        ),
        Troubled(stage=stage, reason=Reason.INTERNAL, detail=""),
        Stopped(stage=stage),
        LeaseExpired(),
        Blocked(reason=Reason.BEHIND_RUN, detail=""),
        CancelRequested(by="", at_work=False),
        CancelRequested(by="", at_work=True),
        Superseded(by=9, at_work=False),
        Approved(by=""),
    ]


def moves() -> set[tuple[RunState, RunState]]:
    """Every change of state that any sequence of facts leads to, found by trying them all from a new run."""
    found: set[tuple[RunState, RunState]] = set()
    seen: set[tuple[object, ...]] = set()
    open_runs: list[Run] = [make_run()]
    while open_runs:
        run = open_runs.pop()
        current = run.current
        if current is None:
            continue
        for fact in facts(current.name):
            after = advance(run, fact, NOW).run
            if after.state is not run.state:
                found.add((run.state, after.state))
            mark = (after.state, after.cancel_requested, tuple(stage.state for stage in after.stages))
            if mark not in seen and not after.state.final:
                seen.add(mark)
                open_runs.append(replace(after, detail=""))
    return found


def test_the_diagram_shows_exactly_the_moves_of_the_engine() -> None:
    drawn = re.findall(r"^    (\w+) --> (\w+)$", PAGE, re.MULTILINE)

    assert sorted(drawn) == sorted((str(old), str(new)) for old, new in moves())
    assert len(STAGE_ORDER) == 7


def test_the_table_of_rooms_is_the_contract_of_imports() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    wanted = [{room.strip() for room in layer.strip("()").split("|")} for layer in layers]

    rows = re.findall(r"^\| (`(?:orchestrator|webhooks|workers).*?) \|", PAGE, re.MULTILINE)

    assert [set(re.findall(r"`([\w.]+)`", row)) for row in rows] == wanted
