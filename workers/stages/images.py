"""What the stages of an image share: its names, the proof that a tag is of our commit, and how it is built."""

import posixpath
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from orchestrator.domain.refs import Reference
from orchestrator.domain.runs import StageName
from workers.clients.build_context import ContextFilter, dockerfile_path, ignore_files, left_out, pieces
from workers.clients.dockerfile import MAX_DOCKERFILE
from workers.clients.dockerignore import MAX_DOCKERIGNORE
from workers.clients.engine_requests import APP_LABEL, REVISION_LABEL, RUN_LABEL, SOURCE_LABEL, CallControl
from workers.clients.git_snapshot import Snapshot
from workers.clients.git_submodules import DeepSnapshot, snapshot_with_submodules
from workers.clients.harbor import first_image, labels_of_artifact
from workers.stages.order import Order, Tools


def repository(order: Order) -> str:
    """Return the image's path in the registry: ``plate/plate-web``."""
    return Reference.parse(order.run.image.removeprefix(f"{order.settings.registry.host}/")).name


def reference(order: Order) -> str:
    """Return what follows the path: the tag, or the digest when the image is named by it."""
    return Reference.parse(order.run.image).version


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image in the registry. ``artifact``: what Harbor's own API says about one that nobody may pull yet."""

    digest: str
    artifact: Mapping[str, Any] | None = None

    @property
    def blocked(self) -> bool:
        """Whether nobody may pull it; Harbor may allow that when it has scanned it."""
        return self.artifact is not None


def project_and_repository(order: Order) -> tuple[str, str]:
    """Return Harbor's project, and the repository inside it."""
    project, _, path = repository(order).partition("/")
    return project, path


def find(order: Order, tools: Tools, wanted: str) -> FoundImage | None:
    """Return what a tag or digest of the run's repository is in the registry; None: it is not there.

    A project of Harbor that prevents vulnerable images from running refuses everybody the manifest of an image until
    its scan is over (Harbor, src/server/middleware/vulnerable); Harbor's own API goes on telling what it is.

    :raises Refused: IMAGE_BLOCKED where the registry is no Harbor; REGISTRY_*.
    """
    try:
        digest = tools.clients.registry.digest(repository(order), wanted)
    except Refused as refusal:
        said = refusal.evidence.replace(repository(order), "")
        unscanned = refusal.reason is Reason.IMAGE_BLOCKED and "vulnerab" in said  # else: not signed
        if not unscanned or not order.settings.registry.harbor:
            raise
        artifact = tools.clients.harbor.artifact(*project_and_repository(order), wanted)
        return FoundImage(str(artifact["digest"]), artifact) if artifact else None
    return FoundImage(digest) if digest else None


def find_own(order: Order, tools: Tools) -> FoundImage | None:
    """Return our tag in the registry when that image is of our commit; None: there is no such tag.

    :raises Refused: TAG_IMMUTABLE, the tag holds an image of another commit: it is never overwritten.
    """
    found = find(order, tools, reference(order))
    labels = _labels(order, tools, found) if found else None
    if found is None or labels is None:
        return None
    revision = labels.get(REVISION_LABEL, "")
    if revision == order.run.commit:
        return found
    raise Refused(
        Reason.TAG_IMMUTABLE,
        f"{order.run.image} ({found.digest}) is of {f'commit {revision}' if revision else 'an unknown commit'},"
        f" not of {order.run.commit}",
    )


def _labels(order: Order, tools: Tools, found: FoundImage) -> Mapping[str, str] | None:
    artifact = found.artifact
    if artifact is None:
        return tools.clients.registry.labels(repository(order), found.digest)
    if artifact.get("references"):  # an index, as containerd's image store pushes it
        child = first_image(artifact)
        artifact = tools.clients.harbor.artifact(*project_and_repository(order), child) if child else {}
    return labels_of_artifact(artifact) if artifact is not None else None


def find_local(order: Order, tools: Tools) -> str | None:
    """Return the id of the image that an earlier attempt left in the engine; None when it is not of our commit."""
    labels = tools.clients.engine.labels(order.run.image)
    names = (order.app.name, *order.app.former_names)
    if labels is None or labels.get(REVISION_LABEL) != order.run.commit or labels.get(APP_LABEL) not in names:
        return None
    return tools.clients.engine.image_id(order.run.image)


def build_image(order: Order, tools: Tools) -> str:
    """Build the run's image from its exact commit and return the image's id in the engine.

    :raises Refused: the source cannot be built; see `Engine.build` and the source's own reasons.
    :raises Unavailable: the source, the engine or the registry of a base image did not answer.
    """
    build, commit = order.app.build, order.run.commit
    dockerfile = dockerfile_path(build.dockerfile)
    # another worker may have checked it
    tools.clients.source.fetch_commit(commit, order.run.ref, checkpoint=tools.checkpoint)
    deadline = time.monotonic() + build.timeout
    with _files(order, tools, deadline) as files:
        content = files.read(dockerfile, MAX_DOCKERFILE)
        if content is None:
            path = posixpath.normpath(posixpath.join(build.context or ".", dockerfile))
            raise Refused(Reason.DOCKERFILE_MISSING, f"{path} is not in {commit}")
        leave_out = _left_out(files, order, tools, deadline)
        tools.log(f"build {order.run.image} from {_public(order.app.source.url)} at {commit}")
        return tools.clients.engine.build(
            pieces(files.tar(leave_out)),
            dockerfile=content,
            tag=order.run.image,
            build=build,
            labels=labels_of(order, files.date),
            registry=order.settings.registry,
            control=CallControl(on_line=tools.log, checkpoint=tools.checkpoint, deadline=build.timeout),
            anew=order.run.from_stage == StageName.BUILD,
            may_pull=tools.clients.registry.may_pull,
        )


def look_at_submodules(order: Order, tools: Tools, commit: str) -> None:
    """See, where the app has submodules fetched, that those of a commit that is here could be asked for.

    :raises Refused: SOURCE_UNSUPPORTED, an address or ``.gitmodules`` is refused; as `build_image`.
    """
    build = order.app.build
    if not build.submodules:
        return
    found = replace(order, run=replace(order.run, commit=commit))
    deadline = time.monotonic() + build.timeout
    with _deep(found, tools, deadline) as files:
        files.look(_left_out(files, order, tools, deadline))


def _files(
    order: Order, tools: Tools, deadline: float
) -> AbstractContextManager[Snapshot] | AbstractContextManager[DeepSnapshot]:
    """Open the build context of the run's commit."""
    build = order.app.build
    if build.submodules:
        return _deep(order, tools, deadline)
    return tools.clients.source.snapshot(
        order.run.commit, build.context, timeout=build.timeout, log=tools.log, checkpoint=tools.checkpoint
    )


def _deep(order: Order, tools: Tools, deadline: float) -> AbstractContextManager[DeepSnapshot]:
    build = order.app.build
    return snapshot_with_submodules(
        tools.clients.source,
        order.run.commit,
        build.context,
        timeout=build.timeout,
        checkpoint=tools.checkpoint,  # Git LFS has a deadline of its own, after which it is tried again
        fetching=_until(deadline, tools.checkpoint, "the submodules were not fetched in time"),
        log=tools.log,
    )


def _left_out(files: Snapshot | DeepSnapshot, order: Order, tools: Tools, deadline: float) -> ContextFilter:
    """Read the rules of what the engine does not get; large rules for many files are the work of hours."""
    build = order.app.build
    dockerfile = dockerfile_path(build.dockerfile)
    rules = _dockerignore(files, ignore_files(dockerfile, build.builder))
    said = "the rules of .dockerignore were not applied to all files in time"
    return left_out(rules, dockerfile, _until(deadline, tools.checkpoint, said))


def _until(deadline: float, checkpoint: Callable[[], None], said: str) -> Callable[[], None]:
    """Let no checkpoint pass after a time. :param said: what was not done by then."""

    def passed() -> None:
        checkpoint()
        if time.monotonic() >= deadline:
            raise Refused(Reason.BUILD_TIMEOUT, said)

    return passed


def labels_of(order: Order, date: int) -> dict[str, str]:
    """Return the labels of a built image. :param date: the commit's, in seconds since the epoch.

    The OCI names (image-spec annotations.md) with the date of the commit, not of the build, so that the same commit
    says the same; and ours, by which images are found and tidied.
    """
    return {
        REVISION_LABEL: order.run.commit,
        SOURCE_LABEL: _public(order.app.source.url),
        "org.opencontainers.image.created": datetime.fromtimestamp(date, UTC).isoformat().replace("+00:00", "Z"),
        "org.opencontainers.image.version": reference(order),
        RUN_LABEL: str(order.run.id),
        APP_LABEL: order.app.name,
    }


def _dockerignore(files: Snapshot | DeepSnapshot, names: Sequence[str]) -> bytes | None:
    """Return the first of the named files that exists."""
    contents = (files.read(name, MAX_DOCKERIGNORE) for name in names)
    return next((content for content in contents if content is not None), None)


def _public(url: str) -> str:
    """Return a repository's address without a user or password in it."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
