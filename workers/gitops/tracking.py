"""Does an Argo CD Application read the file that Pilotage edits? Asked before any build; pure.

The rules are those of Argo CD's Helm sources: value files are relative to ``source.path``, rooted at the repository
with a leading slash, or at another source with ``$ref/``; the chart's own ``values.yaml`` and ``Chart.yaml`` are
always read, and those of the charts inside it; inline values win over files, and parameters win over both.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from orchestrator.domain.apps import Environment, Gitops
from orchestrator.domain.refs import Reference, repo_key
from workers.gitops.loading import load
from workers.gitops.sources import branch_of, reads
from workers.shapes import Json, mapping, mappings, text, texts

_DIGEST_KEYS = ("digest", "sha")
"""How charts call the digest beside a tag."""
_GENERATE_PATHS = "argocd.argoproj.io/manifest-generate-paths"
_ROLLING = "applicationset-controller"
"""Who begins the syncs of an ApplicationSet's RollingSync."""
_READ_BY_ITSELF = ("values.yaml", "kustomization.yaml", "kustomization.yml")
"""Files of its folder that a source reads without being told, if it reads any."""
_OF_CHART = re.compile(r"(?:charts/[^/]+/)*(?:values|Chart)\.yaml")
"""Files of its folder that Helm reads without being told: a tag may be a subchart's default, or ``appVersion``."""
_INDEX = re.compile(r"\[(\d+)\]")
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


def tracks(application: Json, gitops: Gitops, environment: Environment, image: str) -> str | None:
    """Return one sentence about why the edit would not reach the application, or None when it would.

    :param application: the object of ``GET /api/v1/applications/{name}``.
    :param image: the app's image with its registry and without a tag.
    """
    ours = [source for source in _sources(application) if _reads(source, gitops)]
    if not ours:
        found = ", ".join(sorted({str(source.get("repoURL", "")) for source in _sources(application)})) or "nothing"
        return (
            f"{environment.argocd} reads {found}, not {gitops.access.url}; if that is the same repository, name it in"
            " `gitops.aliases`"
        )
    at_branch = [source for source in ours if branch_of(source) in ("", "HEAD", gitops.branch)]
    if not at_branch:
        found = ", ".join(sorted({branch_of(source) for source in ours}))
        return (
            f"{environment.argocd} reads the revision {found} of {gitops.access.url}, not the branch {gitops.branch}"
        )
    problem = _file_problem(application, gitops, environment, image)
    return problem or _sync_problem(application, environment)


def files_read(application: Json, gitops: Gitops) -> tuple[str, ...]:
    """List the values files of the GitOps repo that an application renders with, the one that wins last.

    Those that a pattern names are left out.
    """
    found: list[str] = []
    refs = _refs(application, gitops)
    for source in _sources(application):
        if _reads(source, gitops) and _is_helm(source, application):
            found.append(_join(str(source.get("path") or ""), "values.yaml"))
        found += _value_files(source, application, gitops, refs)
    return tuple(file for file in dict.fromkeys(found) if "*" not in file)


def reads_file(application: Json, gitops: Gitops, file: str) -> bool:
    """Tell whether an application of a list, which does not tell what kind it is, reads this file for certain."""
    ours = [source for source in _sources(application) if _reads(source, gitops)]
    by_itself = {_join(str(source.get("path") or ""), name) for source in ours for name in _READ_BY_ITSELF}
    return file in by_itself or file in files_read(application, gitops)


def staged(application: Json) -> str:
    """Say where the source hydrator's commits go first, for somebody to merge; "" where it needs nobody."""
    hydrator = mapping(mapping(application.get("spec")).get("sourceHydrator"))
    first = text(mapping(hydrator.get("hydrateTo")).get("targetBranch"))
    synced = text(mapping(hydrator.get("syncSource")).get("targetBranch"))
    return f"somebody has to merge {first}, where it is hydrated, into {synced or 'its branch'}" if first else ""


def automated(application: Json) -> bool:
    """Tell whether Argo CD syncs the application by itself (``enabled`` came with 3.1; absent means yes).

    Where an ApplicationSet has the strategy RollingSync it does so, and takes ``automated`` out of its applications.
    """
    policy = mapping(mapping(application.get("spec")).get("syncPolicy")).get("automated")
    on = isinstance(policy, Mapping) and policy.get("enabled", True) is not False
    return on or in_steps(application)


def prunes(application: Json) -> bool:
    """Tell whether the syncs that Argo CD begins by itself delete what Git no longer has."""
    policy = mapping(mapping(application.get("spec")).get("syncPolicy")).get("automated")
    return mapping(policy).get("prune") is True


def left_out(application: Json, file: str) -> str:
    """Name the paths that alone have Argo CD make manifests anew, where no source's hold the file; "" else.

    The rule is that of Argo CD (``AppFilesHaveChanged``). From 2.11 on it takes the manifests of the commit before
    if nothing in these paths has changed, even when it is asked to refresh.
    """
    annotations = mapping(mapping(application.get("metadata")).get("annotations"))
    given = text(annotations.get(_GENERATE_PATHS))
    named = [one.strip() for one in given.split(";") if one.strip()]
    folders = [str(source.get("path") or "") for source in _sources(application)]
    paths = {_join("" if one.startswith("/") else folder, one) for one in named for folder in folders}
    return given if paths and not any(_is_in(file, path) for path in paths) else ""


def _is_in(file: str, path: str) -> bool:
    return path in ("", file) or file.startswith(f"{path}/") or fnmatchcase(file, path)


def in_steps(application: Json) -> bool:
    """Tell whether an ApplicationSet begins the syncs, step by step: one may have to wait for other applications."""
    owners = mappings(mapping(application.get("metadata")).get("ownerReferences"))
    if not any(owner.get("kind") == "ApplicationSet" for owner in owners):
        return False
    status = mapping(application.get("status"))
    last = mapping(mapping(status.get("operationState")).get("operation"))
    syncs = (last, *mappings(status.get("history")))
    return any(mapping(one.get("initiatedBy")).get("username") == _ROLLING for one in syncs)


def _sync_problem(application: Json, environment: Environment) -> str | None:
    if environment.sync or automated(application):
        return None
    return f"{environment.argocd} has no automated sync; turn it on or set `sync: true` for the environment"


def _file_problem(application: Json, gitops: Gitops, environment: Environment, image: str) -> str | None:
    wanted, refs = _join("", environment.values), _refs(application, gitops)
    readers = [source for source in _sources(application) if _uses(source, application, gitops, wanted, refs)]
    if not readers:
        files = sorted({name for source in _sources(application) for name in _named_files(source)})
        plain = [source for source in _sources(application) if _kind(source, application) == "Directory"]
        flat = plain and not any(map(_is_deep, plain))
        below = ", not the folders below" if flat else ""
        listed = f"its value files are {', '.join(files)}" if files else f"it reads {_paths(application)}{below}"
        return f"{environment.argocd} does not read {environment.values}: {listed}"
    found = next((found for source in readers if (found := _winner(source, environment, image))), None)
    return f"{environment.argocd} sets {found}, which wins over {environment.values}" if found else None


def _winner(source: Json, environment: Environment, image: str) -> str:
    """Name what of `source` wins over our edits, and where; "" when nothing does."""
    for key in (environment.key, environment.digest_key):
        winner = _override(source, key) if key else ""
        if winner:
            return f"{key} by {winner}"
    pinned = _pinned(source, image)
    if pinned:
        return f"the image by `kustomize.images` of the application ({pinned})"
    digest = _digest_beside(source, environment.key)
    return f"{digest} by a parameter of the application" if digest else ""


def _sources(application: Json) -> list[Json]:
    """List the sources; for the source hydrator the dry one, which is where people (and we) commit."""
    spec = mapping(application.get("spec"))
    dry = mapping(mapping(spec.get("sourceHydrator")).get("drySource"))
    many = spec.get("sources")
    found = many if isinstance(many, Sequence) and many else [dry or spec.get("source")]
    return [source for source in found if isinstance(source, Mapping) and source.get("repoURL")]


def _reads(source: Json, gitops: Gitops) -> bool:
    return not source.get("chart") and reads(source, {repo_key(address) for address in gitops.addresses})


def _refs(application: Json, gitops: Gitops) -> frozenset[str]:
    """Name the sources that are the GitOps repo, as others refer to them. Made once: there may be thousands."""
    return frozenset(str(s["ref"]) for s in _sources(application) if s.get("ref") and _reads(s, gitops))


def _uses(source: Json, application: Json, gitops: Gitops, values: str, refs: frozenset[str]) -> bool:
    """Tell whether `source` renders with the file `values` of the GitOps repo. :param refs: see `_refs`."""
    if any(_same(found, values) for found in _value_files(source, application, gitops, refs)):
        return True
    if not _reads(source, gitops) or (source.get("ref") and not source.get("path")):
        return False  # a reference without a path is there for the value files of others
    folder = _join(str(source.get("path") or ""), "")
    if _is_helm(source, application):
        return _OF_CHART.fullmatch(_within(folder, values)) is not None
    # Kustomize and plugins may reach out of their folder, so only a plain one can be judged
    return _kind(source, application) != "Directory" or _is_read(source, folder, values)


def _is_read(source: Json, folder: str, values: str) -> bool:
    """Tell whether a plain folder is read with this file: what lies deeper only where it is told to."""
    within = _within(folder, values)
    return within != "" and (_is_deep(source) or "/" not in within)


def _within(folder: str, file: str) -> str:
    """Return where a file is inside a folder; "" when it is not."""
    return file.removeprefix(f"{folder}/") if folder and file.startswith(f"{folder}/") else "" if folder else file


def _is_deep(source: Json) -> bool:
    return mapping(source.get("directory")).get("recurse") is True


def _value_files(source: Json, application: Json, gitops: Gitops, refs: frozenset[str]) -> Iterator[str]:
    """Resolve the value files that lie in the GitOps repo to paths in it; they may hold shell patterns."""
    for name in _named_files(source):
        filled = _filled_in(name, application, source)
        ref, _, rest = filled.removeprefix("$").partition("/")
        if name.startswith("$") and ref in refs:
            yield _join("", rest)
        elif _reads(source, gitops) and "://" not in filled:
            yield _join("", filled) if filled.startswith("/") else _join(str(source.get("path") or ""), filled)


def _named_files(source: Json) -> list[str]:
    files = mapping(source.get("helm")).get("valueFiles")
    return [str(name) for name in files] if isinstance(files, Sequence) else []


def _filled_in(name: str, application: Json, source: Json) -> str:
    """Fill in the variables of Argo CD's build environment that a file name can hold."""
    spec, metadata = mapping(application.get("spec")), mapping(application.get("metadata"))
    known = {
        "ARGOCD_APP_NAME": metadata.get("name"),
        "ARGOCD_APP_NAMESPACE": mapping(spec.get("destination")).get("namespace"),
        "ARGOCD_APP_PROJECT_NAME": spec.get("project"),
        "ARGOCD_APP_SOURCE_PATH": source.get("path"),
        "ARGOCD_APP_SOURCE_TARGET_REVISION": source.get("targetRevision"),
    }
    return _VARIABLE.sub(lambda match: str(known.get(match[1]) or match[0]), name)


def _same(pattern: str, values: str) -> bool:
    return pattern == values or ("*" in pattern and fnmatchcase(values, pattern))


def _is_helm(source: Json, application: Json) -> bool:
    return isinstance(source.get("helm"), Mapping) or _kind(source, application) == "Helm"


def _kind(source: Json, application: Json) -> str:
    """Return how Argo CD renders a source; "" where it does not tell, as of what the source hydrator renders."""
    spec, status = mapping(application.get("spec")), mapping(application.get("status"))
    if spec.get("sourceHydrator"):
        return ""  # what stands there is how it reads the outcome: as a plain folder
    many, kinds = spec.get("sources"), status.get("sourceTypes")
    if isinstance(many, list) and isinstance(kinds, list):
        return next((text(kind) for one, kind in zip(many, kinds, strict=False) if one is source), "")
    return text(status.get("sourceType"))


def _paths(application: Json) -> str:
    return ", ".join(sorted({str(source.get("path") or "/") for source in _sources(application)}))


def _override(source: Json, key: str) -> str:
    """Name what wins over the value files for `key`; "" when nothing does."""
    helm = mapping(source.get("helm"))
    for parameter in (*mappings(helm.get("parameters")), *mappings(helm.get("fileParameters"))):
        name = str(parameter.get("name") or "")
        if _plain(name) == key:
            return f"the parameter {name} of the application"
    if _holds(helm.get("valuesObject"), key):
        return "`helm.valuesObject` of the application"
    return "`helm.values` of the application" if _holds(load(text(helm.get("values"))), key) else ""


def _digest_beside(source: Json, key: str) -> str:
    """Name a parameter that sets a digest beside the tag at `key`: charts that know one prefer it; "" = none does."""
    beside = {f"{key.rpartition('.')[0]}.{name}".lstrip(".") for name in _DIGEST_KEYS} - {key}
    for parameter in mappings(mapping(source.get("helm")).get("parameters")):
        name = str(parameter.get("name") or "")
        if _plain(name) in beside and str(parameter.get("value") or "").startswith("sha256:"):
            return name
    return ""


def _pinned(source: Json, image: str) -> str:
    """Return the entry of `kustomize.images` that gives our image a tag or digest of its own; "" when none does.

    An entry is ``name:tag``, ``name=other:tag`` or ``name@digest``. One without a tag, or with ``*``, sets none.
    """
    for entry in texts(mapping(source.get("kustomize")).get("images")):
        found = Reference.parse(entry.rpartition("=")[2])
        if found.name == image and found.version not in ("", "*"):
            return entry
    return ""


def _plain(name: str) -> str:
    """Write a name of Helm's ``--set`` (``images[0].tag``) as our key path (``images.0.tag``)."""
    return _INDEX.sub(r".\1", name).replace("\\.", ".")


def _holds(values: object, key: str) -> bool:
    for part in key.split("."):
        if isinstance(values, Mapping) and part in values:
            values = values[part]
        else:
            # Helm replaces a list as a whole, so an inline list wins over every item of the file's list
            return isinstance(values, Sequence) and not isinstance(values, str) and part.isdigit()
    return True


def _join(folder: str, name: str) -> str:
    path = posixpath.normpath(posixpath.join("/", folder, name.lstrip("/"))).lstrip("/")
    return "" if path == "." else path
