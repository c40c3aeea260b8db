"""Is the image that runs the image that we pushed? The rule for comparing references as pods write them."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.domain.refs import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A live image that is ours; ``note`` says what differs from the reference that we wrote, or ""."""

    image: str
    note: str = ""


def sighting(live: Iterable[str], image: str, digest: str = "") -> Sighting | None:
    """Find our image among those that run, or return None.

    1. When both digests are known they decide alone: equal is ours under any name, different never is.
    2. Otherwise the tags must be equal and the paths too.
    3. Another host is accepted and noted: admission webhooks rewrite the registry to a mirror or cache. Such a mirror
       may also put folders in front of the path (``cache.example.com/harbor/plate/web``).

    :param image: ``host/path:tag``. :param digest: ``sha256:...`` as the registry reported it, or "".
    """
    ours = Reference.parse(image)
    digest = digest or ours.digest
    found = [match for match in (_compare(one, ours, digest) for one in live) if match]
    return min(found, key=lambda match: len(match.note), default=None)


def _compare(text: str, ours: Reference, digest: str) -> Sighting | None:
    theirs = Reference.parse(text)
    if digest and theirs.digest:
        same = theirs.digest == digest
    else:
        same = bool(theirs.tag) and theirs.tag == ours.tag and _same_path(theirs, ours)
    if not same:
        return None
    return Sighting(image=text, note="" if theirs.name == ours.name else "under another name than the one written")


def _same_path(theirs: Reference, ours: Reference) -> bool:
    if theirs.path == ours.path:
        return True
    return theirs.host != ours.host and theirs.path.endswith(f"/{ours.path}")


def versions_of(live: Iterable[str], repository: str) -> tuple[str, ...]:
    """List the tags (else digests) of one repository among live images, sorted. :param repository: ``host/path``."""
    ours = Reference.parse(repository)
    found = (theirs for theirs in map(Reference.parse, live) if _same_path(theirs, ours))
    return tuple(sorted({theirs.tag or theirs.digest for theirs in found} - {""}))


def another(images: Iterable[str], image: str, digest: str = "") -> bool:
    """Tell whether one of these is surely another image of our repository; parameters as those of `sighting`."""
    ours = Reference.parse(image)
    digest = digest or ours.digest
    return any(_differs(Reference.parse(one), ours, digest) for one in images)


def _differs(theirs: Reference, ours: Reference, digest: str) -> bool:
    if not _same_path(theirs, ours):
        return False
    known = (theirs.digest, digest) if theirs.digest and digest else (theirs.tag, ours.tag)
    return all(known) and known[0] != known[1]
