"""A run in words: one line per stage, and the summary that ends every look at it."""

from collections.abc import Sequence
from datetime import UTC, datetime

from orchestrator.cli.api import Json
from orchestrator.cli.errors import Code
from orchestrator.cli.output import instant, one_line, stamp, table
from orchestrator.domain.durations import apart, noted, words

SIGNS = {
    "queued": "·",
    "running": "▶",
    "waiting": "…",
    "succeeded": "✓",
    "failed": "✗",
    "cancelled": "■",
    "skipped": "-",
}
"""A sign beside the word of each state, so that it is told by shape as well."""
_CODES = {"succeeded": Code.SUCCEEDED, "cancelled": Code.CANCELLED}


def exit_code(run: Json) -> Code:
    """Return the exit code that a finished run ends a command with."""
    return _CODES.get(str(run.get("state")), Code.FAILED)


def state_words(thing: Json) -> str:
    """Name the state of a run or a stage: ``succeeded``, ``waiting (on_hold)``, ``cancelled (superseded)``."""
    state, reason = one_line(thing.get("state")), one_line(thing.get("reason"))
    plain = reason in ("", state, "done", "healthy", "queued", "running", "reused")
    return state + ("" if plain else f" ({reason})") + (", reused" if thing.get("reused") else "")


def why(thing: Json) -> str:
    """Return the sentence that the API words, evidence included; the bare evidence where it words none."""
    if thing.get("reason") == "not_reached":
        return ""  # the state says it already, for each stage behind the one that ended the run
    return one_line(thing.get("sentence")) or one_line(thing.get("detail"), 500)


def took(thing: Json) -> str:
    """Write how long a run or stage took, or "" when that is not known."""
    seconds = thing.get("seconds")
    return words(float(seconds)) if isinstance(seconds, int | float) else ""


def _lasted(run: Json) -> str:
    """Write how long a run took, or has waited, apart; "" when there is nothing to tell."""
    total, waited = run.get("seconds"), run.get("waited_seconds")
    waits = float(waited) if isinstance(waited, int | float) else 0.0
    if isinstance(total, int | float):
        return f" after {apart(float(total), waits)}"
    if since := instant(run.get("waiting_since")):
        return f" for {words(max(0.0, (datetime.now(UTC) - since).total_seconds()))}"
    return f", waited {words(waits)}" if noted(waits) else ""


def stages(run: Json) -> list[Json]:
    """List the stages of a run, in their order."""
    found = run.get("stages")
    return [stage for stage in found if isinstance(stage, dict)] if isinstance(found, list) else []


def stage_table(run: Json) -> list[str]:
    """Lay the stages out: name, state, time, reason."""
    rows = [(stage.get("name"), state_words(stage), took(stage), why(stage)) for stage in stages(run)]
    return table(("STAGE", "STATE", "TIME", "WHY"), rows)


def ending(run: Json, url: str) -> list[str]:
    """Write the summary of a run; the last line is its address."""
    head = f"run {run.get('id')} {state_words(run)}{_lasted(run)}"
    lines = ["", *stage_table(run), "", head]
    lines += [line for line in (why(run), next_step(run)) if line]
    return [*lines, url]


def next_step(run: Json) -> str:
    """Write what to do and who must do it, or "" when there is nothing to do."""
    step, who = one_line(run.get("next_step")), one_line(run.get("who_acts"))
    if not step or who in ("", "nobody"):
        return ""
    return f"Next ({who}): {step}"


def details(run: Json, url: str) -> list[str]:
    """Write everything about a run for ``run show``."""
    facts: Sequence[tuple[str, object]] = (
        ("app", f"{run.get('app')} / {run.get('environment')}"),
        ("trigger", " by ".join(one_line(run.get(name)) for name in ("trigger", "actor") if run.get(name))),
        ("approved", f"by {run['approved_by']} at {_time(run, 'approved_at')}" if run.get("approved_by") else ""),
        ("commit", " ".join(one_line(run.get(name)) for name in ("commit", "ref") if run.get(name))),
        ("title", run.get("title")),
        ("author", run.get("author")),
        ("image", run.get("image")),
        ("digest", run.get("digest")),
        ("attempt", _attempt(run)),
        ("behind", run.get("blocked_by") and f"run {run['blocked_by']}"),
        ("taken back", run.get("taken_back_by") and f"by run {run['taken_back_by']}"),
        ("created", _time(run, "created_at")),
        ("started", _time(run, "started_at")),
        ("finished", _time(run, "finished_at")),
    )
    receipt = run.get("receipt")
    proof = [(f"proof: {name}", value) for name, value in receipt.items()] if isinstance(receipt, dict) else []
    known = [
        (name, one_line(", ".join(value) if isinstance(value, list) else value))
        for name, value in [*facts, *proof]
        if value not in (None, "", [])
    ]
    size = max(len(name) for name, _ in known)
    return [f"{name:<{size}}  {value}" for name, value in known] + ending(run, url)


def _attempt(run: Json) -> str:
    again = run.get("rerun_of")
    return f"{run.get('attempt')} (repeats run {again})" if again else one_line(run.get("attempt"))


def _time(run: Json, name: str) -> str:
    when = instant(run.get(name))
    return stamp(when) if when else ""
