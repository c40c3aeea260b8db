"""What a forge told us, in one vocabulary: the results of the forge adapters."""

from dataclasses import dataclass
from enum import StrEnum


class RefKind(StrEnum):
    """What moved."""

    BRANCH = "branch"
    TAG = "tag"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefChange:
    """One ref that moved in a push.

    ``before`` and ``after`` are what the forge sent (None for all zeros: created, deleted). ``commit`` is what
    is to be built: for an annotated tag it differs from ``after``, which is then the tag object; None when there
    is nothing to build or only a clone can tell. ``forced`` is None where the forge does not say.
    ``message``, ``author_email`` and ``committer_email`` are those of the head commit ("" if not sent).
    ``paths`` is the complete list of changed files, or None where the payload cannot know it.
    ``skip`` is the marker that asks not to build ("[skip ci]"), or "".
    """

    ref: str
    kind: RefKind
    name: str
    before: str | None = None
    after: str | None = None
    commit: str | None = None
    created: bool = False
    deleted: bool = False
    forced: bool | None = None
    message: str = ""
    author_name: str = ""
    author_email: str = ""
    committer_email: str = ""
    skip: str = ""
    paths: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepoNames:
    """Every name by which a payload calls its repository; used to find the app, never to clone.

    ``full_name`` is the path ("group/sub/project"); ``urls`` are the clone and web addresses, https and ssh.
    """

    full_name: str
    urls: tuple[str, ...] = ()
    default_branch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """Refs of one repository moved. ``event`` is the forge's own word; ``actor`` is who pushed."""

    event: str
    repo: RepoNames
    changes: tuple[RefChange, ...]
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """The forge tests the hook."""

    event: str
    repo: RepoNames | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A genuine delivery that asks nothing of us.

    ``reason`` is a stable word such as ``event`` (a kind that we do not act on) and ``detail`` the sentence.
    """

    event: str
    reason: str
    detail: str = ""
    repo: RepoNames | None = None


Parsed = Push | Ping | Ignored


class DeliveryOutcome(StrEnum):
    """What became of a delivery."""

    ACCEPTED = "accepted"
    IGNORED = "ignored"
    PINGED = "pinged"
    REFUSED = "refused"


class Malformed(Exception):
    """The body is not what the forge's contract says. The text names the field, never the whole body."""


class BadSignature(Exception):
    """The delivery is not proven to come from the holder of the secret. The text says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One webhook request as it arrived.

    ``key`` is the forge's delivery id (or a digest of the body where a forge has none) and is unique per ``hook``.
    """

    hook: str
    key: str
    event: str = ""
    size: int = 0
    sha256: str = ""
    remote: str = ""
