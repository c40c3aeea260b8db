"""Signed webhook deliveries from payload files, and an inbox that remembers."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from flask import Flask

from orchestrator.domain.apps import Hook, Secret
from orchestrator.domain.errors import PilotageError
from orchestrator.domain.events import Delivery, Parsed, Ping, Push
from orchestrator.domain.inbox import Answer
from tests.support.contracts import ROOT, contract_files
from webhooks.app import create_app
from webhooks.forges import FORGES

SECRET = "s3cret"
NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
PAYLOADS = ROOT / "tests" / "contract" / "payloads"
MAX_BODY = 25 * 1024 * 1024


@dataclass
class FakeInbox:
    """Remembers what it was given; raises `error` when one is set."""

    accepted: list[tuple[Delivery, Parsed]] = field(default_factory=list)
    refused: list[tuple[Delivery, str, str]] = field(default_factory=list)
    error: PilotageError | None = None

    def accept(self, delivery: Delivery, parsed: Parsed) -> Future[Answer]:
        """Answer 202 for a push and 200 for everything else."""
        if not self.error:
            self.accepted.append((delivery, parsed))
        if isinstance(parsed, Push):
            return self._done(Answer(status=202, body={"delivery": 1, "runs": [1]}))
        body = {"pong": True} if isinstance(parsed, Ping) else {"ignored": parsed.reason}
        return self._done(Answer(status=200, body=body))

    def refuse(self, delivery: Delivery, reason: str, detail: str) -> Future[None]:
        """Remember the refusal."""
        if not self.error:
            self.refused.append((delivery, reason, detail))
        return self._done(None)

    def flush(self) -> None:
        """There is nothing left to do."""

    def _done(self, result: Any) -> Future[Any]:
        done: Future[Any] = Future()
        if self.error:
            done.set_exception(self.error)
        else:
            done.set_result(result)
        return done


@dataclass(frozen=True)
class Case:
    """One payload file with its headers and what is expected of it."""

    forge: str
    name: str
    body: bytes
    meta: dict[str, Any]

    @property
    def expect(self) -> dict[str, Any]:
        """The facts that a correct parser finds."""
        return self.meta["expect"]

    def headers(self, *, secret: str = SECRET) -> dict[str, str]:
        """The headers with their placeholders filled in."""
        return fill(self.meta["headers"], self.signed(), secret)

    def signed(self) -> bytes:
        """What the signature covers."""
        over = self.meta["signature"][0]["over"]
        if "not the raw body" in over and self.body.startswith(b"payload="):
            return parse_qs(self.body.decode("ascii"))["payload"][0].encode()
        return self.body


def fill(headers: dict[str, str], signed: bytes, secret: str = SECRET) -> dict[str, str]:
    """Put the digests of `signed` where the placeholders are."""
    sha256 = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    sha1 = hmac.new(secret.encode(), signed, hashlib.sha1).hexdigest()
    return {
        name: value.replace("{hmac_sha256_hex}", sha256).replace("{hmac_sha1_hex}", sha1)
        for name, value in headers.items()
    }


def cases() -> list[Case]:
    """Every payload of the forges in the table: our own, and those of the contract data where it is there."""
    found = [path for forge in FORGES for path in sorted((PAYLOADS / forge).glob("*.headers.json"))]
    found += [path for forge in FORGES for path in contract_files(f"forges/{forge}/*.headers.json")]
    return [_case(path) for path in found]


def own_case(forge: str, name: str) -> Case:
    """One of our own payloads."""
    return _case(PAYLOADS / forge / f"{name}.headers.json")


def make_app(inbox: FakeInbox, *, max_body: int = MAX_BODY, roots: Sequence[str] = ()) -> Flask:
    """An app with a hook for every forge, a fixed clock and `inbox`."""
    return create_app(hooks(), inbox, max_body=max_body, now=lambda: NOW, roots=roots)


def hooks() -> dict[str, Hook]:
    """One hook with `SECRET` for every forge in the table."""
    return {name: Hook(forge=name, secret=Secret(SECRET)) for name in FORGES}


def _case(path: Path) -> Case:
    meta = json.loads(path.read_text(encoding="utf-8"))
    body = (path.parent / meta["body_file"]).read_bytes()
    origin = "own" if PAYLOADS in path.parents else "contract"
    name = f"{origin}-{path.parent.name}-{path.name.removesuffix('.headers.json')}"
    return Case(forge=path.parent.name, name=name, body=body, meta=meta)
