"""A registry on loopback that answers as a test says, and hands out tokens as Harbor does."""

import base64
import json
from collections.abc import Callable

from orchestrator.domain.apps import Registry, Secret
from tests.support.loopback import Asked, Loopback, Reply
from workers.clients.registry import RegistryClient

DIGEST = "sha256:" + "4b" * 32
USER, PASSWORD = "robot$shop+pilotage", "Geheim-12345"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def client(server: Loopback, **options: str) -> RegistryClient:
    return RegistryClient(Registry(url=server.url, username=USER, password=Secret(PASSWORD), **options))  # type: ignore[arg-type]


def jwt(repository: str, *actions: str) -> str:
    claims = {"access": [{"type": "repository", "name": repository, "actions": list(actions)}]}
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.s"


class Harbor:
    """Wants tokens as Harbor does: a Basic challenge once any authorization was sent, no cookie ever."""

    def __init__(self, answer: Callable[[Asked], Reply], *actions: str, life: int = 1800, realm: str = "") -> None:
        self.answer, self.actions, self.life, self.realm = answer, actions or ("pull", "push"), life, realm
        self.tokens = 0

    def __call__(self, asked: Asked) -> Reply:
        if asked.path == "/service/token":
            assert asked.headers["authorization"] == BASIC
            self.tokens += 1
            scope = asked.query.get("scope", ["repository:none:"])[0]
            return Reply(
                body={"token": jwt(scope.split(":")[1], *self.actions), "access_token": "", "expires_in": self.life}
            )
        if not asked.headers.get("authorization", "").startswith("Bearer "):
            realm = self.realm or f"http://{asked.headers['host']}/service/token"
            bearer = f'Bearer realm="{realm}",service="harbor-registry"'
            return Reply(
                401, headers={"WWW-Authenticate": bearer if "authorization" not in asked.headers else "Basic realm=x"}
            )
        return self.answer(asked)


def head(digest: str = DIGEST) -> Callable[[Asked], Reply]:
    return lambda _: Reply(headers={"Docker-Content-Digest": digest})


def basic(answer: Callable[[Asked], Reply]) -> Callable[[Asked], Reply]:
    """Want a password instead of tokens."""

    def script(asked: Asked) -> Reply:
        if asked.headers.get("authorization") != BASIC:
            return Reply(401, headers={"WWW-Authenticate": 'Basic realm="plain"'})
        return answer(asked)

    return script
