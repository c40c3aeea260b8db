"""What the forges' pushes have in common: from object ids to a RefChange, from changes to a Push."""

from collections.abc import Iterable, Mapping
from itertools import chain

from orchestrator.domain.events import Ignored, Malformed, Push, RefChange, RefKind, RepoNames
from orchestrator.domain.markers import skip_marker
from orchestrator.domain.refs import is_safe_ref_name, repo_key, split_ref
from webhooks.payload import MAX_NAME, Record, Records

MAX_EVENT = 100
"""Characters of an event's name."""


def event_name(headers: Mapping[str, str], header: str) -> str:
    """Return the forge's word for what happened.

    :raises Malformed: the header is missing, empty or too long.
    """
    event = headers.get(header, "")
    if not event or len(event) > MAX_EVENT or not event.isprintable():
        raise Malformed(f"header {header} does not name an event")
    return event


def refuse_imitator(headers: Mapping[str, str], imitators: Mapping[str, str]) -> None:
    """Check that a delivery comes from no forge that also sends the headers of another one.

    :param imitators: headers that only the imitators send, and their names, the most specific first.
    :raises Malformed: one of the headers is there; the detail says which path is right.
    """
    for name, forge in imitators.items():
        if name in headers:
            raise Malformed(f"header {name} shows another forge; the path of the hook must be /webhooks/{forge}")


def repo_names(record: Record, *, full_name: str, urls: Iterable[str]) -> RepoNames:
    """Collect the names of a repository.

    :param full_name: the field with the path. :param urls: the fields with addresses; broken ones are left out.
    :raises Malformed: the path is missing or a field is not a text.
    """
    addresses = dict.fromkeys(record.note(name) for name in urls)
    return RepoNames(
        full_name=record.text(full_name),
        urls=tuple(address for address in addresses if _is_address(address)),
        default_branch=record.note("default_branch") or None,
    )


def ref_change(
    record: Record,
    *,
    target: str | None = None,
    head: Record | None = None,
    forced: bool | None = None,
    skip: str = "",
    paths: frozenset[str] | None = None,
) -> RefChange | None:
    """Read ``ref``, ``before`` and ``after``; None for a ref that is neither a branch nor a tag, or unsafe.

    :param target: the commit that the forge says is to be built; decides for tags, where ``after`` may be a tag
        object (git-scm: annotated tags), and is not asked for branches.
    :param head: the commit that is built, for its message and people.
    :param skip: a marker from outside the message, which goes first.
    :raises Malformed: the ids are not full object ids, or both are zero.
    """
    ref, before, after = record.text("ref"), record.sha("before"), record.sha("after")
    if before is None and after is None:
        raise Malformed("before and after are both zero: nothing moved")
    split = split_ref(ref)
    if split is None or not is_safe_ref_name(split[1]):
        return None
    kind, name = split
    commit = after if kind is RefKind.BRANCH else target
    message = head.note("message") if head else ""
    return RefChange(
        ref=ref,
        kind=kind,
        name=name,
        before=before,
        after=after,
        commit=commit if after else None,
        created=before is None,
        deleted=after is None,
        forced=forced,
        message=message,
        author_name=_person(head, "author", "name"),
        author_email=_person(head, "author", "email"),
        committer_email=_person(head, "committer", "email"),
        skip=skip or skip_marker(message),
        paths=paths,
    )


def push(event: str, repo: RepoNames, changes: Iterable[RefChange | None], *, actor: str) -> Push | Ignored:
    """Put the changes together; Ignored when none is of a branch or tag that Git would create."""
    kept = tuple(change for change in changes if change is not None)
    if kept:
        return Push(event=event, repo=repo, changes=kept, actor=actor)
    detail = "the ref is neither a branch nor a tag, or its name is not one that Git creates"
    return Ignored(event=event, reason="ref", detail=detail, repo=repo)


def ignored(event: str, repo: RepoNames | None, detail: str = "") -> Ignored:
    """Answer an event that is not acted on."""
    return Ignored(event=event, reason="event", detail=detail or f"{event} is not acted on", repo=repo)


def find_commit(commits: Iterable[Record | None], sha: str | None) -> Record | None:
    """Return the first commit whose id is `sha`; the forges list commits in different orders."""
    return next((commit for commit in commits if commit and sha and commit.note("id") == sha), None)


def changed_paths(commits: Records, *, most: int, most_files: int) -> frozenset[str] | None:
    """Return the union of the commits' file lists, or None when it may be incomplete.

    A commit without any file (a merge, or lists that the forge left out) makes the whole unknown.

    :raises Malformed: one of the lists is none, or holds something else than texts.
    :param most: number of commits, and :param most_files: number of files of a commit, from which on the forge cuts.
    """
    if not 0 < len(commits) < most:
        return None
    files = commits.texts("added", "modified", "removed")
    if not all(0 < len(of_commit) < most_files for of_commit in files):
        return None
    return frozenset(chain.from_iterable(files))


def _is_address(text: str) -> bool:
    try:
        return 0 < len(text) <= MAX_NAME and bool(repo_key(text))
    except ValueError:  # a port or an IPv6 address that is none
        return False


def _person(head: Record | None, role: str, field: str) -> str:
    person = head.record(role) if head else None
    return person.note(field) if person else ""
