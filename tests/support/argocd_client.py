"""The Argo CD client before a server that a test scripts."""

from collections.abc import Callable
from typing import Any

from orchestrator.domain.apps import ArgoCD, Secret
from tests.support.loopback import Asked, Reply
from workers.clients.argocd import ArgoClient

TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJwaWxvdGFnZSJ9.c2ln"


def client(url: str) -> ArgoClient:
    return ArgoClient(ArgoCD(url=url, token=Secret(TOKEN)))


def always(reply: Reply) -> Callable[[Asked], Reply]:
    return lambda _: reply


def error(code: int, message: str) -> dict[str, Any]:
    """Word an error as the server does (grpc-gateway)."""
    return {"error": message, "code": code, "message": message}
