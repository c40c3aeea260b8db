"""Which apps an Argo CD and a GitOps repository hold already, as the configuration would name them; pure.

What is found would pass the stage `check`: the application reads the file, and the value can be edited.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.domain.apps import Environment, Gitops
from orchestrator.domain.errors import Refused
from workers.gitops.image_keys import ImageKey, holds, image_keys, merged, read_values
from workers.gitops.keys import look_at_keys
from workers.gitops.parents import fault_of
from workers.gitops.tracking import automated, files_read
from workers.shapes import Json, mapping, text

_ORDER = ("dev", "test", "int", "qa", "stg", "stag", "uat", "pre", "prod", "live")
"""How the names of environments begin, in the order in which an image usually goes through them."""
_PRODUCTION = _ORDER.index("prod")
_VALUES = re.compile(r"(?:.*/)?(?:values[-_.]([a-z0-9-]+)|([a-z0-9-]+)[-_.]values)\.ya?ml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An environment that could be configured. ``image``: its path without host; ``tag``: what is deployed now."""

    image: str
    tag: str
    environment: Environment
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """An application, and in one sentence why no environment comes of it, or of an image in it."""

    application: str
    why: str


def files_wanted(applications: Sequence[Json], gitops: Gitops) -> list[str]:
    """List the files of the GitOps repository that `discover` wants to see."""
    return sorted({file for application in applications for file in files_read(application, gitops)})


def discover(
    applications: Sequence[Json], files: Mapping[str, bytes], gitops: Gitops, host: str
) -> tuple[list[Candidate], list[LeftOut]]:
    """Find the environments, in the order in which an image would go through them, and what is left out.

    :param applications: objects of ``GET /api/v1/applications``. :param files: path -> content at the branch's head.
    :param host: of the registry that images are pushed to.
    """
    found = [one for application in applications for one in _of(application, files, gitops, host)]
    candidates = [one for one in found if isinstance(one, Candidate)]
    left_out = [one for one in found if isinstance(one, LeftOut)]
    shared = {id(one): other for one in candidates for other in candidates if _writes_the_same(one, other)}
    left_out += [_shared(one, shared[id(one)]) for one in candidates if id(one) in shared]
    alone = [one for one in candidates if id(one) not in shared]
    return sorted(alone, key=_place), sorted(left_out, key=lambda one: one.application)


def app_of(image: str) -> str:
    """Name an app after its image: ``plate/plate-web`` is ``plate-web``."""
    return image.rpartition("/")[2]


def promoted(environments: Sequence[Environment]) -> Iterator[Environment]:
    """Suggest what deploys where: pushes to ``main`` to the first environment, and from each one to the next.

    That is for names that say where they stand; what deploys to others is not known, unless there is but one.
    An image goes into production by a person's word.
    """
    before = ""
    for one in environments:
        if not _is_known(one.name) and len(environments) > 1:
            yield one
            continue
        if before:
            yield replace(one, promote_from=before, approval=_step(one.name) >= _PRODUCTION)
        else:
            yield replace(one, branch="main")
        before = one.name


def _of(application: Json, files: Mapping[str, bytes], gitops: Gitops, host: str) -> Iterator[Candidate | LeftOut]:
    name = text(mapping(application.get("metadata")).get("name"))
    there = {file: read_values(files[file]) for file in files_read(application, gitops) if file in files}
    if not there:
        yield LeftOut(application=name, why=f"it reads no values file of {gitops.access.url}")
        return
    images = [one for one in image_keys(merged(there.values())) if one.image.host == host]
    if not images:
        yield LeftOut(application=name, why=f"{', '.join(there)}: no image of {host} with a tag")
    for one in images:
        file = next(file for file in reversed(there) if holds(there[file], one.key))
        yield _judged(application, name, one, file, files[file], gitops)


def _judged(
    application: Json, name: str, image: ImageKey, file: str, raw: bytes, gitops: Gitops
) -> Candidate | LeftOut:
    """Make an environment of one image, and judge it as the stage `check` would. :param file: with content `raw`."""
    environment = Environment(
        name=_environment(name, app_of(image.image.path), file),
        values=file,
        argocd=name,
        key=image.key,
        value=image.value,
        sync=not automated(application),
    )
    try:
        keys = look_at_keys(raw, gitops, environment)
    except Refused as refused:
        return LeftOut(application=name, why=refused.evidence)
    problem = fault_of(application, gitops, environment, image.image.name)
    if problem:
        return LeftOut(application=name, why=problem)
    version = image.image.version
    return Candidate(image=image.image.path, tag=version, environment=environment, warning=keys.warning)


def _environment(application: str, app: str, file: str) -> str:
    """Name an environment: what the application's name has beside the app's, what the file's has, or all of it."""
    for rest in (application.removeprefix(f"{app}-"), application.removesuffix(f"-{app}")):
        if rest != application:
            return rest
    named = _VALUES.fullmatch(file)
    return next(filter(None, named.groups()), application) if named else application


def _writes_the_same(one: Candidate, other: Candidate) -> bool:
    mine, theirs = one.environment, other.environment
    return one is not other and (mine.values, mine.key) == (theirs.values, theirs.key)


def _shared(one: Candidate, other: Candidate) -> LeftOut:
    mine = one.environment
    reader = other.environment.argocd
    why = f"{mine.key} stands in {mine.values}, which {reader} reads as well; give each a values file of its own"
    return LeftOut(application=mine.argocd, why=why)


def _place(one: Candidate) -> tuple[str, int, str]:
    return one.image, _step(one.environment.name), one.environment.name


def _is_known(name: str) -> bool:
    return name.startswith(_ORDER)


def _step(name: str) -> int:
    """Tell where on its way an image is: names that say nothing stand before production."""
    step = next((number for number, word in enumerate(_ORDER) if name.startswith(word)), None)
    return _PRODUCTION - 1 if step is None else step
