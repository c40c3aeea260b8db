"""Which environments a push concerns: branch and tag rules, path filters, skip markers, our own commits."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from orchestrator.domain.apps import App, Environment
from orchestrator.domain.events import Push, RefChange, RefKind
from orchestrator.domain.refs import is_safe_ref_name, is_sha, ref_matches, repo_key
from orchestrator.engine.filters import path_filter


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One environment that a change of a ref deploys to."""

    app: App
    environment: Environment
    change: RefChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """What a push leads to; without ``wanted``, why not: a stable word and a sentence.

    ``told``: the refs in this push that deploy somewhere, whether it leads to anything or not.
    """

    wanted: tuple[Wanted, ...] = ()
    told: tuple[tuple[App, RefChange], ...] = ()
    ignored: str = ""
    detail: str = ""


def match(push: Push, apps: Iterable[App], is_own: Callable[[RefChange], bool]) -> Matched:
    """Find the environments that `push` deploys to.

    :param is_own: tells whether the head commit of a change is one that we made (never a loop).
    """
    concerned = [app for app in apps if is_repo_of(push, app)]
    if not concerned:
        return Matched(ignored="repo", detail=f"no app is built from {push.repo.full_name or 'this repository'}")
    wanted: list[Wanted] = []
    reasons: list[tuple[str, str]] = []
    for change in push.changes:
        why_not = _why_not(change, is_own)
        if why_not:
            reasons.append(why_not)
            continue
        found = [one for app in concerned for one in _environments(app, change)]
        wanted.extend(found)
        if not found:
            reasons.append(_unmatched(change, concerned))
    told = tuple((app, change) for app in concerned for change in push.changes if _is_told(app, change))
    if wanted:
        return Matched(wanted=tuple(wanted), told=told)
    ignored, detail = reasons[0] if reasons else ("empty", "the push names no ref")
    return Matched(ignored=ignored, detail=detail, told=told)


def is_repo_of(push: Push, app: App) -> bool:
    """Tell whether `push` went to the source repository of `app`."""
    names = {repo_key(url) for url in push.repo.urls}
    return any(repo_key(url) in names for url in app.addresses)


def watched_branches(app: App) -> tuple[str, ...]:
    """Return the exact branch names (no patterns) that deploy somewhere: what can be polled."""
    names = {env.branch for env in app.environments if env.branch and not set(env.branch) & set("*?[")}
    return tuple(sorted(names))


def _is_told(app: App, change: RefChange) -> bool:
    """Tell whether a change says where a ref that deploys somewhere is now, or that it was deleted."""
    known = (change.deleted or _names_commit(change)) and is_safe_ref_name(change.name)
    return known and any(_rule_matches(env, change) for env in app.environments)


def _why_not(change: RefChange, is_own: Callable[[RefChange], bool]) -> tuple[str, str] | None:
    if change.deleted:
        return "deleted", f"{change.kind} {change.name} was deleted"
    if not is_safe_ref_name(change.name):
        return "ref", f"{change.kind} name is not one that Git would create"
    if not _names_commit(change):
        return "commit", f"{change.kind} {change.name} names no commit"
    if is_own(change):
        return "own_commit", "the head commit is a deploy commit of ours"
    if change.skip:
        return "skip", f"the head commit asks to skip with {change.skip}"
    return None


def _names_commit(change: RefChange) -> bool:
    if change.commit is None:
        # Gogs tells of a new tag by an id that may be the tag object's; the check stage finds the commit.
        return change.kind is RefKind.TAG and change.after is not None
    return is_sha(change.commit)


def _environments(app: App, change: RefChange) -> list[Wanted]:
    if not _paths_match(app, change):
        return []
    matching = [env for env in app.environments if _rule_matches(env, change)]
    return [Wanted(app=app, environment=env, change=change) for env in matching]


def _rule_matches(env: Environment, change: RefChange) -> bool:
    rule = env.branch if change.kind is RefKind.BRANCH else env.tag
    return bool(rule) and ref_matches(rule, change.name)


def _paths_match(app: App, change: RefChange) -> bool:
    """Tell whether a file that matters has changed; True if the payload's list may be incomplete."""
    if not app.build.paths or change.paths is None:
        return True
    rules = path_filter(app.build.paths)
    return any(rules.last(path) is not None for path in change.paths)


def _unmatched(change: RefChange, apps: list[App]) -> tuple[str, str]:
    by_rule = any(_rule_matches(env, change) for app in apps for env in app.environments)
    if by_rule:
        return "paths", "no changed file matches the path filter"
    return change.kind.value, f"no environment deploys from {change.kind} {change.name}"
