"""What a registry answers: kinds of manifests, images of an index, errors; pure."""

import re
from collections.abc import Mapping
from typing import Any

from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.wording import shorten
from workers.shapes import mapping, mappings, read_json

INDEX_TYPES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ACCEPT = ", ".join((INDEX_TYPES[0], MANIFEST_TYPES[0], INDEX_TYPES[1], MANIFEST_TYPES[1]))
DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_MAX_WORDS = 300
"""Characters of an error message of the registry."""


def pick_platform(index: Mapping[str, Any]) -> str:
    """Return the digest of the manifest for linux/amd64 in an image index, else of the first real image; "" = none.

    Entries for ``unknown/unknown`` are attestations of buildx, not images.
    """
    images: dict[str, str] = {}
    for entry in mappings(index.get("manifests")):
        place = mapping(entry.get("platform"))
        name = f"{place.get('os', 'unknown')}/{place.get('architecture', 'unknown')}"
        digest = str(entry.get("digest", ""))
        if DIGEST.match(digest) and (name != "unknown/unknown" or not place):
            images.setdefault(name, digest)
    return images.get("linux/amd64") or next(iter(images.values()), "")


def is_json(answer: Any) -> bool:
    """Tell whether an answer says that it is JSON, as every error of a registry is."""
    return "json" in answer.headers.get("Content-Type", "")


def first_error(body: bytes) -> str:
    """Return ``CODE message`` of a registry's error answer, one bounded line; "" when it has none."""
    try:
        errors = read_json(body).get("errors")
        first = errors[0]
        text = f"{first.get('code', '')} {first.get('message', '')}"
    except (ValueError, AttributeError, LookupError, TypeError):
        return ""
    return shorten(text, _MAX_WORDS)


def json_object(content: bytes, who: str = "the registry") -> dict[str, Any]:
    """Read a JSON object; {} when it is another value. :raises Unavailable: REGISTRY_UNAVAILABLE, it is not JSON."""
    try:
        value = read_json(content)
    except ValueError as error:
        raise Unavailable(Reason.REGISTRY_UNAVAILABLE, f"{who}'s answer is not JSON") from error
    return value if isinstance(value, dict) else {}
