"""What Harbor knows besides the files of the registry: projects, artifacts, tags, scans. Kept in one JSON file."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.sandbox.harbor_rules import HarborError, Immutable, ProjectPolicy, immutable_push
from orchestrator.sandbox.harbor_scanner import ImageScan, ScanResult, Vulnerability

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Tag:
    """A name of an artifact; times in seconds since 1970, 0 = never."""

    id: int
    name: str
    pushed: float
    pulled: float = 0.0


@dataclass(slots=True, kw_only=True)
class Artifact:
    """One manifest in one repository; `about` is what `harbor_artifacts.describe` read from it."""

    id: int
    digest: str
    about: Json
    pushed: float
    pulled: float = 0.0
    tags: dict[str, Tag] = field(default_factory=dict)
    scan: ImageScan | None = None

    @property
    def children(self) -> set[str]:
        """Digests of the images of an image index."""
        return {str(one["child_digest"]) for one in self.about["references"] or ()}


@dataclass(slots=True, kw_only=True)
class ImageRepository:
    """One repository; `path` is its name without the project."""

    id: int
    path: str
    created: float
    pulls: int = 0
    artifacts: dict[str, Artifact] = field(default_factory=dict)

    def find(self, reference: str) -> Artifact | None:
        """Return the artifact with this digest or tag."""
        if reference.startswith("sha256:"):
            return self.artifacts.get(reference)
        return next((one for one in self.artifacts.values() if reference in one.tags), None)


@dataclass(slots=True, kw_only=True)
class Project:
    """One project; `blobs` is what it is charged for: digest to bytes."""

    id: int
    name: str
    created: float
    policy: ProjectPolicy
    repositories: dict[str, ImageRepository] = field(default_factory=dict)
    blobs: dict[str, int] = field(default_factory=dict)

    @property
    def used(self) -> int:
        """Bytes that count against the quota; what several images share counts once."""
        return sum(self.blobs.values())


class HarborStore:
    """All projects. Hold `lock` while you look at what it returns; its methods take it themselves.

    :ivar read_only: Harbor's maintenance mode; ends with the process.
    :param clock: seconds since 1970.
    """

    def __init__(self, file: Path, clock: Callable[[], float]) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.read_only = False
        self._file = file
        self._last_id = 0
        self._projects: dict[str, Project] = {}
        if file.exists():
            self._load(json.loads(file.read_text(encoding="utf-8")))

    def projects(self) -> Iterator[Project]:
        """Give out the projects, oldest first."""
        with self.lock:
            yield from list(self._projects.values())

    def project(self, name: str) -> Project | None:
        """Return a project by its name."""
        with self.lock:
            return self._projects.get(name)

    def project_of(self, repository: str) -> Project:
        """Return the project of a full repository name (``shop/team-a/api``).

        :raises HarborError: UNAUTHORIZED, as the registry's side of Harbor says it when there is none.
        """
        name = repository.partition("/")[0]
        project = self.project(name) if "/" in repository else None
        if project is None:
            text = f"project {name} not found"
            raise HarborError("UNAUTHORIZED", f"{text}: {text}")
        return project

    def create_project(self, name: str, policy: ProjectPolicy) -> Project:
        """Create a project.

        :raises HarborError: CONFLICT, there is one of this name.
        """
        with self.lock:
            if name in self._projects:
                raise HarborError("CONFLICT", f"The project named {name} already exists")
            project = Project(id=self._new_id(), name=name, created=self.clock(), policy=policy)
            self._projects[name] = project
            self._save()
            return project

    def set_policy(self, name: str, policy: ProjectPolicy) -> None:
        """Change how a project behaves.

        :raises KeyError: there is no such project.
        """
        with self.lock:
            self._projects[name].policy = policy
            self._save()

    def find(self, repository: str, reference: str) -> Artifact:
        """Return the artifact with this tag or digest in a repository (full name).

        :raises HarborError: NOT_FOUND.
        """
        with self.lock:
            project, _, path = repository.partition("/")
            place = self._projects.get(project)
            found = place.repositories.get(path) if place else None
            artifact = found.find(reference) if found else None
        if artifact is None:
            mark = "@" if reference.startswith("sha256:") else ":"
            raise HarborError("NOT_FOUND", f"artifact {repository}{mark}{reference} not found")
        return artifact

    def put(self, repository: str, digest: str, tag: str, about: Json, blobs: dict[str, int]) -> Artifact:
        """Write down a pushed manifest and move `tag` ("" = pushed by digest) to it.

        :raises HarborError: PRECONDITION, the tag is immutable and was pushed by somebody else in between.
        """
        with self.lock:
            project = self.project_of(repository)
            place = self._repository(project, repository.partition("/")[2])
            holder = place.find(tag) if tag else None
            if holder and holder.digest != digest and project.policy.keeps(place.path, tag):
                raise HarborError("PRECONDITION", f"the tag {tag} configured as immutable, cannot be updated")
            now = self.clock()
            artifact = place.artifacts.setdefault(
                digest, Artifact(id=self._new_id(), digest=digest, about=about, pushed=now)
            )
            project.blobs |= blobs
            if tag:
                if holder:
                    del holder.tags[tag]
                artifact.tags[tag] = Tag(id=self._new_id(), name=tag, pushed=now)
            self._save()
            return artifact

    def check_push(self, repository: str, tag: str) -> None:
        """Refuse a push over an existing immutable tag, also with the same content.

        :raises HarborError: PRECONDITION.
        """
        with self.lock:
            project = self.project_of(repository)
            path = repository.partition("/")[2]
            place = project.repositories.get(path)
            if place and place.find(tag) and project.policy.keeps(path, tag):
                raise immutable_push(path, tag)

    def add_tag(self, place: ImageRepository, artifact: Artifact, name: str) -> Tag:
        """Give an artifact one more name.

        :raises HarborError: CONFLICT, the repository has a tag of this name; it is not moved.
        """
        with self.lock:
            if place.find(name):
                raise HarborError("CONFLICT", f"tag {name} already exists under the repository {place.id}")
            tag = artifact.tags[name] = Tag(id=self._new_id(), name=name, pushed=self.clock())
            self._save()
            return tag

    def delete(self, project: Project, place: ImageRepository, artifact: Artifact, tag: str = "") -> None:
        """Delete one tag of an artifact, or ("") the artifact with all its tags.

        :raises HarborError: PRECONDITION, an immutable tag would go; NOT_FOUND, it has no such tag;
            VIOLATE_FOREIGN_KEY_CONSTRAINT, an image index still names the artifact.
        """
        with self.lock:
            if not tag and any(artifact.digest in one.children for one in place.artifacts.values()):
                words = f"the artifact {artifact.id} is referenced by other resources"
                raise HarborError("VIOLATE_FOREIGN_KEY_CONSTRAINT", words)
            for name in [tag] if tag else artifact.tags:
                if name in artifact.tags and project.policy.keeps(place.path, name):
                    raise HarborError("PRECONDITION", f"the tag {name} configured as immutable, cannot be deleted")
            if not tag:
                del place.artifacts[artifact.digest]
            elif artifact.tags.pop(tag, None) is None:
                raise HarborError("NOT_FOUND", f"tag {tag} not found")
            self._save()

    def start_scan(self, artifact: Artifact, scan: ImageScan) -> None:
        """Write down that a scan began.

        :raises HarborError: CONFLICT, one is under way.
        """
        with self.lock:
            status = artifact.scan.status(self.clock()) if artifact.scan else ""
            if status in ("Pending", "Running"):
                raise HarborError("CONFLICT", f"a previous scan process is {status}")
            artifact.scan = scan
            self._save()

    def charge(self, project: Project, digest: str, size: int) -> None:
        """Count a blob that was uploaded to a project; written to the file with its manifest."""
        with self.lock:
            project.blobs.setdefault(digest, size)

    def pulled(self, repository: str, artifact: Artifact, tag: str) -> None:
        """Note the time of a pull; written to the file with the next change."""
        with self.lock:
            artifact.pulled = self.clock()
            if tag in artifact.tags:
                artifact.tags[tag].pulled = artifact.pulled
            self._repository(self.project_of(repository), repository.partition("/")[2]).pulls += 1

    def _repository(self, project: Project, path: str) -> ImageRepository:
        if path not in project.repositories:
            project.repositories[path] = ImageRepository(id=self._new_id(), path=path, created=self.clock())
        return project.repositories[path]

    def _new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _save(self) -> None:
        content = {"last_id": self._last_id, "projects": [asdict(one) for one in self._projects.values()]}
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(content), encoding="utf-8")
        os.replace(fresh, self._file)

    def _load(self, content: Json) -> None:
        self._last_id = content["last_id"]
        for one in content["projects"]:
            self._projects[one["name"]] = _project(one)


def _project(saved: Json) -> Project:
    rules = tuple(Immutable(**rule) for rule in saved["policy"]["immutable"])
    policy = ProjectPolicy(**(saved["policy"] | {"immutable": rules}))
    places = {path: _place(one) for path, one in saved["repositories"].items()}
    return Project(**(saved | {"policy": policy, "repositories": places}))


def _place(saved: Json) -> ImageRepository:
    return ImageRepository(
        **(saved | {"artifacts": {digest: _artifact(one) for digest, one in saved["artifacts"].items()}})
    )


def _artifact(saved: Json) -> Artifact:
    tags = {name: Tag(**one) for name, one in saved["tags"].items()}
    scan = _scan(saved["scan"]) if saved["scan"] else None
    return Artifact(**(saved | {"tags": tags, "scan": scan}))


def _scan(saved: Json) -> ImageScan:
    found = tuple(Vulnerability(**one) for one in saved["result"]["findings"])
    return ImageScan(**(saved | {"result": ScanResult(**(saved["result"] | {"findings": found}))}))
