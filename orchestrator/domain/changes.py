"""One wanted edit in the GitOps repo, made by one run."""

from dataclasses import dataclass

from orchestrator.domain.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Set the scalar at `path` ("image.tag", "images.0.newTag") to `value`."""

    path: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one run wants to have in one file.

    ``trailers`` go to the end of the commit message and identify the run; ``date`` is seconds since the epoch.
    ``form`` stands for the configuration by which it was worded: equal ones write the same to the same place.
    """

    run: int
    file: str
    edits: tuple[Edit, ...]
    message: str
    trailers: tuple[tuple[str, str], ...]
    date: int
    form: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """The change is on the remote branch.

    ``commit`` is the GitOps commit that holds it; ``created`` is False when the value was there already
    (then ``commit`` is the branch head that was read back) or when an earlier attempt had pushed it.
    ``previous`` are the values that were replaced, in the order of the edits.
    """

    run: int
    commit: str
    created: bool
    previous: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The change cannot be made: one sentence with file, line and what is wrong, and its code."""

    run: int
    detail: str
    reason: Reason = Reason.VALUES_KEY_REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """The change is not on the remote branch, and is not wanted there any more, or not now."""

    run: int


Result = Landed | Rejected | Withdrawn
"""What came of a change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one writer brings to a branch by one push, in this order.

    ``unwanted`` are runs of the batch that are over or to stop, whose environment is on hold, or whose change another
    configuration has worded, but whose change an earlier push may have brought to the branch: it is looked for there
    and not made.
    """

    changes: list[Change]
    unwanted: frozenset[int] = frozenset()
