"""Read an Argo CD Application as the API sends it: 2.x and 3.x, one or many sources, source hydrator.

Every field may be absent, null or of another type (servers differ, lists are trimmed); nothing here raises.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from orchestrator.domain.refs import is_sha, repo_key
from workers.gitops.operated import JOBS, STEADY, has_known_pods, is_operated
from workers.gitops.sources import branch_of, reads
from workers.shapes import Json, mapping, mappings, moment, text, texts

REFRESH_ANNOTATIONS = ("argocd.argoproj.io/refresh", "argocd.argoproj.io/hydrate")
"""Present while Argo CD has been asked to compare (or hydrate) and has not done it yet."""

SKIP_ANNOTATION = "argocd.argoproj.io/skip-reconcile"
"""With this Argo CD looks at the application no more, until it is taken away; who else keeps its state may go on."""
_TRUE = ("1", "t", "true")
"""How Go writes that something is so."""
_NAMED = 3
"""Resources that one sentence names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One entry of ``status.conditions``. A type that ends in ``Error`` is an error."""

    type: str
    message: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One managed resource that differs from Git; ``prune`` means that it only waits to be deleted."""

    name: str
    prune: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The last (or running) sync.

    ``revisions`` are those that it applied from our repository; ``partial`` marks a dry run, a sync of single
    resources (as Argo CD heals) or of local manifests, which proves nothing about the whole; ``dry_run`` that it
    changed nothing; ``prune_skipped`` that it left what Git no longer has. ``images`` are those of what it applied,
    ``hook_images`` of its hooks, ``steady_images`` of what has pods all the time,
    ``operated_images`` of what an operator makes pods of (since 3.1).
    """

    phase: str
    message: str
    revisions: tuple[str, ...]
    started_at: datetime | None
    finished_at: datetime | None
    retries: int
    partial: bool
    dry_run: bool
    prune_skipped: bool
    images: tuple[str, ...]
    hook_images: tuple[str, ...]
    steady_images: tuple[str, ...]
    operated_images: tuple[str, ...]
    jobs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hydration:
    """The source hydrator: which commit of ours (dry) became which commit that is synced (hydrated).

    ``compared`` is the hydrated commit that Argo CD compares with, of ``branch``; where hydrated commits come to
    another branch first, for somebody to merge, that is ``staged``.
    """

    dry: str
    hydrated: str
    phase: str
    current: str
    begun_at: datetime | None
    message: str
    compared: str
    staged: str
    branch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What one object says; fields of one response belong together.

    ``revisions`` are the compared revisions of our repository (several when several sources read it); a name such as
    ``main`` stands there while manifests cannot be made. ``guessed`` tells that no source has our repository's
    address, so that all Git sources were taken. ``jobs`` are the managed resources whose pods run only at times.
    ``skipped`` tells that Argo CD is told to leave it alone: a request to refresh stands there for ever then.
    ``deployed`` are the revisions of our repository that the last whole sync which succeeded has applied.
    ``operated`` are those of which an operator makes pods, and whose health Argo CD does not know; ``workloads``
    tells whether there is anything else that has pods.
    """

    deleting: bool
    skipped: bool
    refreshing: bool
    requested: bool
    sync: str
    revisions: tuple[str, ...]
    guessed: bool
    health: str
    health_message: str
    health_since: datetime | None
    operation: Operation | None
    deployed: tuple[str, ...]
    conditions: tuple[Condition, ...]
    reconciled_at: datetime | None
    images: tuple[str, ...]
    app_of_apps: bool
    jobs: tuple[str, ...]
    operated: tuple[str, ...]
    workloads: bool
    out_of_sync: tuple[Resource, ...]
    suspended: tuple[Resource, ...]
    hydration: Hydration | None


DryOf = Callable[[str, str], str]
"""Names the dry commit of which a commit of a branch was hydrated; "" where that is not known."""


def read(application: Json, addresses: Collection[str], branch: str, dry_of: DryOf = lambda _, __: "") -> Application:
    """Read the object of ``GET /api/v1/applications/{name}``.

    :param addresses: of the GitOps repository, to tell which of several sources is ours. :param branch: the same.
    :param dry_of: asked where hydrated commits are merged by somebody, as a merge makes another commit of them.
    """
    meta, status = mapping(application.get("metadata")), mapping(application.get("status"))
    sync, health = mapping(status.get("sync")), mapping(status.get("health"))
    summary, annotations = mapping(status.get("summary")), mapping(meta.get("annotations"))
    skipped = text(annotations.get(SKIP_ANNOTATION)).lower() in _TRUE
    hydration = _hydration(application, status)
    operated = tuple(_name(one) for one in mappings(status.get("resources")) if is_operated(one))
    spec, repos = mapping(application.get("spec")), frozenset(map(repo_key, addresses))
    ours = _chooser(spec, repos, branch, hydration, dry_of)
    return Application(
        deleting=bool(meta.get("deletionTimestamp")),
        skipped=skipped,
        refreshing=not skipped and any(name in annotations for name in REFRESH_ANNOTATIONS),
        requested=bool(application.get("operation")),
        sync=text(sync.get("status")),
        revisions=ours(sync, mapping(sync.get("comparedTo"))),
        guessed=not any(reads(source, repos) for source in mappings(spec.get("sources"))),
        health=text(health.get("status")),
        health_message=text(health.get("message")),
        health_since=moment(health.get("lastTransitionTime")),
        operation=_operation(status, ours, frozenset(operated)),
        deployed=next((ours(one, one) for one in reversed(mappings(status.get("history")))), ()),
        conditions=tuple(_condition(one) for one in mappings(status.get("conditions"))),
        reconciled_at=moment(status.get("reconciledAt")),
        images=texts(summary.get("images")),
        app_of_apps=bool(summary.get("isAppOfApps")),
        jobs=tuple(_name(one) for one in mappings(status.get("resources")) if _is_job(one) and not one.get("hook")),
        operated=operated,
        workloads=any(has_known_pods(one) for one in mappings(status.get("resources"))),
        out_of_sync=tuple(_resource(one) for one in mappings(status.get("resources")) if _differs(one)),
        suspended=tuple(_resource(one) for one in mappings(status.get("resources")) if _is_suspended(one)),
        hydration=hydration,
    )


_Chooser = Callable[[Json, Json], tuple[str, ...]]


def _chooser(spec: Json, repos: Collection[str], branch: str, hydration: Hydration | None, dry_of: DryOf) -> _Chooser:
    """Return a function that takes ``{"revision", "revisions"}`` and its sources and gives our revisions."""

    def choose(result: Json, sources: Json) -> tuple[str, ...]:
        revisions = texts(result.get("revisions"))
        if revisions:
            listed = mappings(sources.get("sources")) or mappings(spec.get("sources"))
            return _ours(listed, revisions, repos, branch)
        revision = text(result.get("revision"))
        if hydration is None or not is_sha(revision):
            return (revision,) if revision else ()
        merged = hydration.staged and revision != hydration.hydrated
        dry = dry_of(revision, hydration.branch) if merged else hydration.dry
        return (dry,) if dry and (merged or revision == hydration.hydrated) else ()

    return choose


def _ours(sources: Sequence[Json], revisions: Sequence[str], repos: Collection[str], branch: str) -> tuple[str, ...]:
    """Choose the revisions of the sources that read our repository and branch.

    Argo CD often knows the repository by another address (inside the cluster); then every Git source is a candidate.
    """
    git = [(source, rev) for source, rev in zip(sources, revisions, strict=False) if not source.get("chart")]
    here = [pair for pair in git if reads(pair[0], repos)] or git
    tracked = [pair for pair in here if branch_of(pair[0]) in ("", "HEAD", branch)] or here
    return tuple(dict.fromkeys(rev for _, rev in tracked))


def _hydration(application: Json, status: Json) -> Hydration | None:
    spec = mapping(mapping(application.get("spec")).get("sourceHydrator"))
    if not spec:
        return None
    state = mapping(status.get("sourceHydrator"))
    done, current = mapping(state.get("lastSuccessfulOperation")), mapping(state.get("currentOperation"))
    return Hydration(
        dry=text(done.get("drySHA")),
        hydrated=text(done.get("hydratedSHA")),
        phase=text(current.get("phase")),
        current=text(current.get("drySHA")),
        begun_at=moment(current.get("startedAt")),
        message=text(current.get("message")),
        compared=text(mapping(status.get("sync")).get("revision")),
        staged=text(mapping(spec.get("hydrateTo")).get("targetBranch")),
        branch=text(mapping(spec.get("syncSource")).get("targetBranch")),
    )


def _operation(status: Json, ours: _Chooser, operated: frozenset[str]) -> Operation | None:
    state = mapping(status.get("operationState"))
    if not state:
        return None
    result, asked = mapping(state.get("syncResult")), mapping(mapping(state.get("operation")).get("sync"))
    resources, retries = mappings(result.get("resources")), state.get("retryCount")
    return Operation(
        phase=text(state.get("phase")),
        message=text(state.get("message")),
        revisions=ours(result, result) or ours(asked, asked),
        started_at=moment(state.get("startedAt")),
        finished_at=moment(state.get("finishedAt")),
        retries=retries if isinstance(retries, int) else 0,
        partial=any(asked.get(key) for key in ("dryRun", "resources", "manifests")),
        dry_run=bool(asked.get("dryRun")),
        prune_skipped=any(one.get("status") == "PruneSkipped" for one in resources),
        images=tuple(image for one in resources if not one.get("hookType") for image in texts(one.get("images"))),
        hook_images=tuple(image for one in resources if one.get("hookType") for image in texts(one.get("images"))),
        steady_images=tuple(
            image for one in resources if one.get("kind") in STEADY for image in texts(one.get("images"))
        ),
        operated_images=tuple(
            image for one in resources if _name(one) in operated for image in texts(one.get("images"))
        ),
        jobs=tuple(_name(one) for one in resources if _makes_pods_later(one)),
    )


def _makes_pods_later(result: Json) -> bool:
    """Tell whether a resource that the sync changed runs its pods only at times, so that none may be live now."""
    return _is_job(result) and not text(result.get("message")).endswith("unchanged")


def _is_job(resource: Json) -> bool:
    return text(resource.get("kind")) in JOBS


def _condition(condition: Json) -> Condition:
    return Condition(
        type=text(condition.get("type")),
        message=text(condition.get("message")),
        at=moment(condition.get("lastTransitionTime")),
    )


def _differs(resource: Json) -> bool:
    return resource.get("status") == "OutOfSync"


def _is_suspended(resource: Json) -> bool:
    return mapping(resource.get("health")).get("status") == "Suspended"


def _resource(resource: Json) -> Resource:
    return Resource(name=_name(resource), prune=bool(resource.get("requiresPruning")))


def _name(resource: Json) -> str:
    return "/".join(filter(None, (text(resource.get(key)) for key in ("kind", "namespace", "name"))))


def names(resources: Iterable[Resource]) -> str:
    """Name the first few resources for a sentence."""
    listed = [resource.name for resource in resources]
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(listed[:_NAMED]) + more
