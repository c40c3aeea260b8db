"""The one sentence why, and what to do next: API, pages, command line and messages all say it in the same words."""

import re
from collections.abc import Callable

from orchestrator.domain.reasons import Actor, Reason, explain
from orchestrator.domain.runs import Run, RunState, Trigger

Say = Callable[[str], str]
"""Says a text of ours in the language of who reads it."""

MAX_LENGTH = 600
"""Characters of a sentence; evidence beyond that belongs into the log."""
MAX_EVIDENCE = 2000
"""Characters of evidence that are kept with a run and in the log."""
_WHOLE = (Reason.DONE, Reason.CANCELLED, Reason.SUPERSEDED)
"""Reasons whose evidence is the whole sentence: "Cancelled by mina"."""

GOES_BACK = "Run {back} goes back. Correct and push; the environment is on hold until {release}."
WENT_BACK = "Correct what {actor} brought and push; the environment is on hold until {release}."
LEFT_UNPROVEN = (
    "The environment is on hold and the image before is in Git, unproven: {again} goes back once more, {release} lets"
    " deploys go on."
)
LEFT_BROUGHT = (
    "The environment is on hold and what {actor} brought is still in Git: {again} goes back once more, {release} lets"
    " deploys go on."
)
AFTER_GOING_BACK = (GOES_BACK, WENT_BACK, LEFT_UNPROVEN, LEFT_BROUGHT)
"""Next steps that name runs."""


class Worded(str):
    """A text of ours, in English, that can be said in other languages too. Made by `worded`."""

    form: str
    values: dict[str, object]

    def said(self, say: Say) -> str:
        """Say it in the language of who reads it; what fills it is said too, where it is a text of ours."""
        values = {name: said(value, say) for name, value in self.values.items()}
        return say(self.form).format(**values) if values else say(self.form)


def worded(form: str, **values: object) -> Worded:
    """Make a text. :param form: the English one, with ``{name}`` for each of `values`."""
    text = Worded(form.format(**values) if values else form)
    text.form, text.values = form, values
    return text


def joined(*texts: Worded) -> Worded:
    """Put texts one after the other."""
    names = [f"text_{number}" for number in range(len(texts))]
    return worded(" ".join(f"{{{name}}}" for name in names), **dict(zip(names, texts, strict=True)))


def said(text: object, say: Say) -> object:
    """Say a text of ours in the language of who reads it; anything else stays as it is."""
    return text.said(say) if isinstance(text, Worded) else text


_PLAINLY = (
    (re.compile(r"Input should be a valid integer.*"), "must be a whole number"),
    (re.compile(r"Input should be greater than or equal to (\S+)"), r"must be \1 or more"),
    (re.compile(r"Input should be less than or equal to (\S+)"), r"must be \1 or less"),
)


def plainly(message: str) -> str:
    """Say in the words of people what pydantic says of a number."""
    message = message.removeprefix("Value error, ")
    return next((match.expand(words) for form, words in _PLAINLY if (match := form.fullmatch(message))), message)


def english(text: str) -> str:
    """Say a text of ours as it stands in the code."""
    return text


def sentence(reason: Reason, detail: str, say: Say = english) -> str:
    """Join the catalogue's text for `reason` and the evidence in `detail` to one line that ends with a full stop.

    What the evidence only repeats is left out: "The environment is on hold." and "on hold: freeze" become
    "The environment is on hold: freeze." What a stage did, or what ended a run, is a sentence already; but evidence
    stays English, so that in another language the text still goes in front of what ended a run.
    """
    text = explain(reason).text
    told = say(text)
    evidence = _news(" ".join(detail.split()), text)
    if not evidence:
        return told
    whole = reason is Reason.DONE or (reason in _WHOLE and told == text)
    line = evidence[0].upper() + evidence[1:] if whole else f"{told.rstrip('.')}: {evidence}"
    if len(line) > MAX_LENGTH:
        return line[: MAX_LENGTH - 2].rstrip() + " …"
    return ended(line)


def ended(text: str) -> str:
    """Put a full stop at the end of a text, where it has no end yet."""
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def next_step(run: Run, say: Say = english) -> str:
    """Return what to do about the reason of `run`; a command in it names the run, or its app and environment."""
    if run.taken_back_by is not None:
        return say(GOES_BACK).format(back=run.taken_back_by, release=_release(run))
    if _went_back(run):
        return _after_going_back(run, say)
    return _step(run, say)


def who_acts(run: Run) -> str:
    """Return who must act on `run`: ``developer``, ``operator`` or ``nobody``."""
    actor = explain(run.reason).actor
    return (Actor.DEVELOPER if _went_back(run) and actor is Actor.NOBODY else actor).value


def _went_back(run: Run) -> bool:
    """Tell whether a rollback that began by itself is over: its environment is on hold."""
    return run.trigger is Trigger.ROLLBACK and run.state.final and run.follows_a_run


def _after_going_back(run: Run, say: Say) -> str:
    """Say what state a rollback has left behind, and each way out of it in one command."""
    if run.state is RunState.SUCCEEDED:
        return say(WENT_BACK).format(actor=run.actor, release=_release(run))
    left = LEFT_UNPROVEN if run.committed else LEFT_BROUGHT
    again = f"`pilotage run rerun {run.id}`"
    first = f"{_step(run, say)} " if explain(run.reason).actor is not Actor.NOBODY else ""
    return first + say(left).format(actor=run.actor, again=again, release=_release(run))


def _step(run: Run, say: Say) -> str:
    step = say(explain(run.reason).next_step).replace(" RUN`", f" {run.id}`")
    return step.replace(" APP ENVIRONMENT`", f" {run.app} {run.environment}`")


def _release(run: Run) -> str:
    return f"`pilotage app release {run.app} {run.environment}`"


def shorten(text: str, limit: int) -> str:
    """Return `text` with at most `limit` characters and its blanks collapsed.

    Of what is too long the middle goes: what happened stands at one of the ends. It goes in whole words, as half a
    secret would not be known as one by the mask that looks at the text afterwards.
    """
    joined = " ".join(text.split())
    if len(joined) <= limit:
        return joined
    head = limit * 2 // 5
    begin = joined[: head + 1].rpartition(" ")[0]
    end = joined[head + 2 - limit :].partition(" ")[2]
    return f"{begin} … {end}".strip()


def bounded(evidence: str) -> str:
    """Return evidence as it is kept: what is longer than `MAX_EVIDENCE` is shortened."""
    return evidence if len(evidence) <= MAX_EVIDENCE else shorten(evidence, MAX_EVIDENCE)


def _news(evidence: str, text: str) -> str:
    said = text.casefold().rstrip(".")
    head, colon, rest = evidence.partition(": ")
    if colon and _is_said(head, said):
        return rest
    return "" if _is_said(evidence, said) else evidence


def _is_said(words: str, said: str) -> bool:
    return f" {words.casefold().rstrip('.')} " in f" {said} "
