"""What has to be true when a storm is over: nothing that was accepted is lost, and nothing was done twice."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.support.whole_loop import FINAL, Json, stage_of, summary

PUSHED = ("push", "poll")
"""Triggers of a run that a push leads to, whoever told of it."""
FOLLOWS = "promotion"
"""The trigger of a run that another run's success leads to."""
GOES_BACK = "rollback"
LATE = 1.0
"""Seconds after the end of a run in which what was about to begin may still begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything that happened.

    ``runs``: as the API shows them, by id. ``commits``: the run of each GitOps commit, oldest first. ``pushed``: the
    commits of each environment's branch, oldest first. ``started``: idempotency key to run id, of manual runs.
    ``foreign_lost``: commits of others to the GitOps repository that are not in it any more.
    ``held``: from when to when (seconds since 1970) nothing may have been committed to an environment.
    ``disordered``: environments to which people bring older commits back. ``spoilt``: those in which deploys fail and
    are taken back, and ``released``: when people let deploys go on there.
    ``answers``: what accepted deliveries were answered. ``told``: run id and first line of each message in the chat.
    """

    runs: Mapping[int, Json]
    commits: Sequence[int]
    pushed: Mapping[str, Sequence[str]]
    started: Mapping[str, int]
    foreign_lost: Sequence[str]
    held: Mapping[str, Sequence[tuple[float, float]]]
    disordered: Sequence[str]
    spoilt: Sequence[str]
    released: Sequence[float]
    answers: Sequence[Mapping[str, Any]]
    told: Sequence[tuple[int, str]]


def faults(story: Story) -> list[str]:
    """Say what is wrong, one sentence each."""
    return [fault for look in _LOOKS for fault in look(story)]


def _over(story: Story) -> Iterator[str]:
    for number, run in story.runs.items():
        spoilt = run["environment"] in story.spoilt and run["reason"] == "degraded"
        if run["state"] not in FINAL or (run["state"] == "failed" and not spoilt):
            yield f"run {number} {summary(run)}"


def _nothing_lost(story: Story) -> Iterator[str]:
    """Every run that was promised is there; Pilotage promises with its answer."""
    for answer in story.answers:
        if not answer.get("runs") or not story.runs.keys() >= set(answer["runs"]):
            yield f"a delivery was answered {answer}"
    for key, number in story.started.items():
        if number not in story.runs:
            yield f"the manual run {number} of {key} is gone"


def _one_run_a_push(story: Story) -> Iterator[str]:
    """One, or one that works: a hook that comes after that of the next push, which the poll was faster than as well,
    makes a run that is ended at once, for its commit is the older one.
    """
    made: dict[tuple[str, str], list[Json]] = defaultdict(list)
    for run in story.runs.values():
        if run["trigger"] in PUSHED and run["state"] != "cancelled":
            made[run["environment"], run["commit"]].append(run)
    for (environment, commit), several in made.items():
        if len(several) > 1:
            told = "; ".join(f"{run['id']} by {run['trigger']} {summary(run)}" for run in several)
            yield f"several runs of {commit} in {environment}: {told}"
    others = {number: run for number, run in story.runs.items() if run["trigger"] not in (*PUSHED, FOLLOWS)}
    manual = [number for number, run in others.items() if not _by_itself(run)]
    if sorted(manual) != sorted(story.started.values()):
        yield f"manual runs {manual}, started were {sorted(story.started.values())}"


def _one_commit_a_run(story: Story) -> Iterator[str]:
    made = Counter(story.commits)
    for number, run in story.runs.items():
        if made[number] > 1:
            yield f"{made[number]} GitOps commits of run {number}"
        stage = stage_of(run, "commit")
        if made[number] and stage["state"] != "succeeded":
            yield f"a GitOps commit was made for run {number}, which does not know: {summary(run)}"
        if stage["state"] == "succeeded" and stage["reason"] != "already_committed" and not made[number]:
            yield f"run {number} is committed without a GitOps commit: {summary(run)}"


def _never_an_older_commit(story: Story) -> Iterator[str]:
    last: dict[str, int] = defaultdict(lambda: -1)
    for number in story.commits:
        run = story.runs[number]
        environment = run["environment"]
        if environment in story.disordered:
            continue
        place = story.pushed[environment].index(run["commit"])
        if place < last[environment]:
            yield f"run {number} put commit {place} over commit {last[environment]} of {environment}"
        last[environment] = place


def _the_newest_is_there(story: Story) -> Iterator[str]:
    newest = {story.runs[number]["environment"]: story.runs[number]["commit"] for number in story.commits}
    for environment, commits in story.pushed.items():
        if commits and newest.get(environment) != commits[-1]:
            yield f"{environment} has {newest.get(environment)} and not {commits[-1]}"


def _nothing_while_held(story: Story) -> Iterator[str]:
    for number, run in story.runs.items():
        at = _at(stage_of(run, "commit")["started_at"])
        for since, until in story.held.get(run["environment"], ()):
            if since < at < until:
                yield f"run {number} began to commit {at - since:.1f} s after {run['environment']} was held"


def _taken_back(story: Story) -> Iterator[str]:
    """What is degraded is taken back by one run, unless something newer was on its way to Git; and until people let
    deploys go on, only runs that go back are committed there.
    """
    for number, run in story.runs.items():
        by = run["taken_back_by"]
        if by is not None and story.runs.get(by, run)["trigger"] != GOES_BACK:
            yield f"run {number} is said to be taken back by {by}"
        if by is not None:
            yield from _nothing_before_release(story, run)
        if by is None and run["reason"] == "degraded" and run["trigger"] != GOES_BACK and _is_newest(story, run):
            yield f"run {number} is degraded and was not taken back: {summary(run)}"
    for number, run in story.runs.items():
        if _by_itself(run) and story.runs[int(run["actor"].split()[1])]["taken_back_by"] != number:
            yield f"run {number} goes back for {run['actor']}, which does not know"


def _nothing_before_release(story: Story, run: Json) -> Iterator[str]:
    over = _at(run["finished_at"])
    until = next((at for at in story.released if at > over), float("inf"))
    here = [one for one in story.runs.values() if one["environment"] == run["environment"]]
    for other in here:
        begun = _at(stage_of(other, "commit")["started_at"])
        if other["trigger"] != GOES_BACK and over + LATE < begun < until:
            yield f"run {other['id']} began to commit though run {run['id']} was taken back"


def _is_newest(story: Story, run: Json) -> bool:
    """Tell whether nothing newer was on its way to Git when a run ended, and something older to go back to."""
    here = [number for number in story.commits if story.runs[number]["environment"] == run["environment"]]
    place = here.index(run["id"])
    later = (_at(stage_of(story.runs[number], "commit")["started_at"]) for number in here[place + 1 :])
    proven = any(story.runs[number]["state"] == "succeeded" for number in here[:place])
    return proven and all(begun > _at(run["finished_at"]) for begun in later)


def _by_itself(run: Json) -> bool:
    return bool(run["trigger"] == GOES_BACK and run["actor"].startswith("run "))


def _at(time: str | None) -> float:
    return datetime.fromisoformat(time).timestamp() if time else 0.0


def _foreign_commits_stay(story: Story) -> Iterator[str]:
    for commit in story.foreign_lost:
        yield f"the foreign commit {commit} is lost"


def _told_once(story: Story) -> Iterator[str]:
    """A message whose sender was killed between sending and writing it down may be there once more, and only then."""
    for (number, line), times in Counter(story.told).items():
        if times > 2:
            yield f"the chat was told {times} times about run {number}: {line}"
    shown = Counter(number for number, _ in story.told)
    for number, run in story.runs.items():
        states = Counter(one["state"] for one in run["notifications"] if one["channel"].startswith("slack"))
        if states.keys() - {"sent", "merged"} or shown[number] < states["sent"]:
            yield f"messages about run {number} are {dict(states)}, and {shown[number]} arrived"


_LOOKS = (
    _over,
    _nothing_lost,
    _one_run_a_push,
    _one_commit_a_run,
    _never_an_older_commit,
    _the_newest_is_there,
    _nothing_while_held,
    _taken_back,
    _foreign_commits_stay,
    _told_once,
)
