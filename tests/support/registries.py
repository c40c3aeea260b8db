"""Fakes of the registry and of its Harbor, as the stages use them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain.errors import PilotageError, Refused
from orchestrator.domain.reasons import Reason
from workers.clients.engine_requests import REVISION_LABEL

TAG = "sha-8f3e1e700000"
DIGEST = "sha256:" + "4b" * 32


@dataclass(slots=True)
class FakeRegistry:
    """Tags (and digests) with the labels of their images; ``error``: what it says to somebody who wants to push."""

    tags: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    blocked: str = ""
    error: PilotageError | None = None

    def check_push(self, _: str, *, anew: bool = False) -> None:
        if self.error is not None:
            raise self.error

    def hold(self, commit: str, digest: str = DIGEST, tag: str = TAG) -> None:
        labels = {REVISION_LABEL: commit} if commit else {}
        self.tags[tag] = self.tags[digest] = (digest, labels)

    def digest(self, _: str, reference: str) -> str | None:
        if self.blocked and reference in self.tags:
            raise Refused(Reason.IMAGE_BLOCKED, self.blocked)
        found = self.tags.get(reference)
        return found[0] if found else None

    def may_pull(self, _: str, reference: str) -> bool:
        return reference in self.tags

    def labels(self, _: str, reference: str) -> dict[str, str] | None:
        found = self.tags.get(reference)
        return found[1] if found else None


@dataclass(slots=True)
class FakeHarbor:
    """Has its projects, and answers each look with the next artifact; the last one stays."""

    artifacts: list[dict[str, Any] | None] = field(default_factory=lambda: [None])
    projects: frozenset[str] = frozenset({"plate"})
    started: int = 0
    named: list[str] = field(default_factory=list)
    places: list[tuple[str, ...]] = field(default_factory=list)
    on_look: Callable[[], None] = lambda: None

    def project_exists(self, name: str) -> bool:
        return name in self.projects

    def artifact(self, *place: str) -> dict[str, Any] | None:
        self.on_look()
        self.places.append(place)
        return self.artifacts.pop(0) if len(self.artifacts) > 1 else self.artifacts[0]

    def start_scan(self, *_: str) -> bool:
        self.started += 1
        return True

    def findings(self, *_: str) -> list[str]:
        return self.named
