"""What Harbor tells about an artifact: read from its manifest at the push, shown as JSON afterwards."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from orchestrator.sandbox.harbor_rules import HarborError
from orchestrator.sandbox.harbor_scanner import NEVER, REPORT_TYPE, chosen_report, when
from orchestrator.sandbox.harbor_store import Artifact, ImageRepository, Json, Project, Tag

INDEXES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
CONFIGS = frozenset({"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"})
"""Media types of the configuration by which Harbor knows an image; anything else it cannot scan."""
_ICON = "sha256:0048162a053eef4d4ce3fe7518615bef084403614f8bca43b40ae2e762e11e06"
_OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def describe(
    content: bytes, content_type: str, size_of: Callable[[str], int], read_blob: Callable[[str], bytes]
) -> tuple[Json, dict[str, int]]:
    """Read a manifest.

    :param size_of: bytes of a child that an index names by digest. :param read_blob: content of a blob, by digest.
    :return: the part of the artifact's JSON that does not change, and the blobs that the manifest refers to with
        their sizes.
    :raises HarborError: MANIFEST_INVALID.
    """
    try:
        manifest = json.loads(content)
        kind = str(manifest.get("mediaType") or content_type.partition(";")[0].strip() or _OCI_MANIFEST)
        return (
            _index(manifest, kind, content, size_of)
            if kind in INDEXES
            else _image(manifest, kind, content, read_blob)
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HarborError("MANIFEST_INVALID", "manifest invalid") from error


def _image(
    manifest: Json, kind: str, content: bytes, read_blob: Callable[[str], bytes]
) -> tuple[Json, dict[str, int]]:
    parts = [manifest["config"], *manifest.get("layers", ())]
    blobs = {str(one["digest"]): int(one["size"]) for one in parts}
    config_type = str(manifest["config"]["mediaType"])
    about = {
        "type": "IMAGE" if config_type in CONFIGS else "UNKNOWN",
        "media_type": config_type,
        "manifest_media_type": kind,
        "artifact_type": str(manifest.get("artifactType") or config_type),
        "size": sum(blobs.values()) + len(content),
        "icon": _ICON,
        "extra_attrs": None,
        "annotations": manifest.get("annotations") or None,
        "references": None,
    }
    if config_type in CONFIGS:
        config = json.loads(read_blob(str(manifest["config"]["digest"])))
        about["extra_attrs"] = {
            "architecture": config.get("architecture", ""),
            "author": config.get("author", ""),
            "config": config.get("config") or {},
            "created": config.get("created", NEVER),
            "os": config.get("os", ""),
        }
    return about, blobs


def _index(manifest: Json, kind: str, content: bytes, size_of: Callable[[str], int]) -> tuple[Json, dict[str, int]]:
    children = [one for one in manifest["manifests"] if one.get("digest")]
    config_type = "application/vnd.oci.image.config.v1+json"
    return {
        "type": "IMAGE",
        "media_type": config_type,
        "manifest_media_type": kind,
        "artifact_type": str(manifest.get("artifactType") or config_type),
        "size": sum(size_of(str(one["digest"])) for one in children) + len(content),
        "icon": _ICON,
        "extra_attrs": None,
        "annotations": manifest.get("annotations") or None,
        "references": [_reference(one) for one in children],
    }, {}


def _reference(child: Mapping[str, Any]) -> Json:
    place = child.get("platform") or {}
    return {
        "child_digest": child["digest"],
        "platform": {
            "architecture": place.get("architecture", ""),
            "os": place.get("os", ""),
            "OsFeatures": place.get("os.features"),
            "os.version": place.get("os.version", ""),
            "variant": place.get("variant", ""),
        },
        "annotations": child.get("annotations") or None,
        "urls": None,
    }


def is_image(artifact: Artifact) -> bool:
    """Tell whether a scanner can look into it."""
    return bool(artifact.about["type"] == "IMAGE")


def names_of(project: Project, place: ImageRepository, artifact: Artifact) -> list[str]:
    """Return the names of an image as patterns for scans see them: ``shop/team-a/api:v1``."""
    full = f"{project.name}/{place.path}"
    return [f"{full}:{tag}" for tag in artifact.tags] or [f"{full}@{artifact.digest}"]


def show(
    project: Project, place: ImageRepository, artifact: Artifact, ask: Mapping[str, str], reports: str, now: float
) -> Json:
    """Return an artifact as the REST API does.

    :param ask: the query: ``with_tag`` (true unless said otherwise), ``with_scan_overview``,
        ``with_immutable_status``. :param reports: the ``X-Accept-Vulnerabilities`` header.
    """
    shown: Json = {"id": artifact.id} | artifact.about
    shown |= {"project_id": project.id, "repository_id": place.id, "repository_name": f"{project.name}/{place.path}"}
    shown |= {"digest": artifact.digest, "push_time": when(artifact.pushed), "pull_time": when(artifact.pulled)}
    shown |= {"labels": None, "accessories": None, "tags": None}
    shown["references"] = _linked(place, artifact)
    if artifact.tags and ask.get("with_tag", "true") == "true":
        kept = ask.get("with_immutable_status") == "true"
        tags = sorted(artifact.tags.values(), key=lambda one: -one.id)
        shown["tags"] = [show_tag(project, place, artifact, one, kept) for one in tags]
    shown["addition_links"] = {name: _link(project, place, artifact, name) for name in _additions(artifact)}
    begun = artifact.scan and artifact.scan.status(now)
    if ask.get("with_scan_overview") == "true" and artifact.scan and begun and chosen_report(reports) == REPORT_TYPE:
        shown["scan_overview"] = {REPORT_TYPE: artifact.scan.overview(now)}
    return shown


def show_tag(project: Project, place: ImageRepository, artifact: Artifact, tag: Tag, immutable: bool = True) -> Json:
    """Return a tag as the REST API does.

    :param immutable: look whether it can change; else it is said to (as Harbor does when it is not asked).
    """
    return {
        "id": tag.id,
        "repository_id": place.id,
        "artifact_id": artifact.id,
        "name": tag.name,
        "push_time": when(tag.pushed),
        "pull_time": when(tag.pulled),
        "immutable": immutable and project.policy.keeps(place.path, tag.name),
    }


def show_repository(project: Project, place: ImageRepository) -> Json:
    """Return a repository as the REST API does."""
    newest = max((one.pushed for one in place.artifacts.values()), default=place.created)
    return {
        "id": place.id,
        "project_id": project.id,
        "name": f"{project.name}/{place.path}",
        "artifact_count": len(place.artifacts),
        "pull_count": place.pulls,
        "creation_time": when(place.created),
        "update_time": when(newest),
    }


def show_project(project: Project, now: float) -> Json:
    """Return a project as the REST API does."""
    return {
        "project_id": project.id,
        "name": project.name,
        "owner_id": 1,
        "owner_name": "admin",
        "creation_time": when(project.created),
        "update_time": when(min(project.created, now)),
        "deleted": False,
        "repo_count": sum(1 for one in project.repositories.values() if one.artifacts),
        "metadata": project.policy.metadata(),
    }


def report(artifact: Artifact, reports: str, now: float) -> Json:
    """Return the ``vulnerabilities`` addition: nothing while there is no result of the type that is asked for."""
    scan = artifact.scan
    if scan is None or scan.status(now) != "Success" or chosen_report(reports) != REPORT_TYPE:
        return {}
    return {REPORT_TYPE: scan.document(artifact.digest)}


def _linked(place: ImageRepository, artifact: Artifact) -> list[Json] | None:
    references = artifact.about["references"]
    if references is None:
        return None
    known = {digest: one.id for digest, one in place.artifacts.items()}
    return [{"parent_id": artifact.id, "child_id": known.get(one["child_digest"], 0)} | one for one in references]


def _additions(artifact: Artifact) -> list[str]:
    history = ["build_history"] if artifact.about["extra_attrs"] is not None else []
    return [*history, "vulnerabilities"] if is_image(artifact) else history


def _link(project: Project, place: ImageRepository, artifact: Artifact, name: str) -> Json:
    inner = quote(quote(place.path, safe=""), safe="")
    base = f"/api/v2.0/projects/{project.name}/repositories/{inner}/artifacts/{artifact.digest}"
    return {"absolute": False, "href": f"{base}/additions/{name}"}
