"""Who asks the stand-in of Harbor and what they may do: robot accounts, their rights, and the registry's tokens."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from orchestrator.sandbox.harbor_scanner import when
from orchestrator.sandbox.harbor_store import HarborStore, Project

SERVICE = "harbor-registry"
ADMIN = "admin"
"""The account that may do everything."""
ROBOT = "robot$"
TOKEN_LIFE = 1800
"""Seconds that a token lives (30 minutes is Harbor's default)."""
DEFAULT_RIGHTS = frozenset(
    {"pull", "push", "repository:read", "artifact:read", "artifact-addition:read", "scan:create"}
)
"""What a robot of Pilotage is given: what the tutorial and the page about the platform say, and nothing more."""
_PUBLIC_RIGHTS = frozenset(
    {"pull", "repository:list", "artifact:list", "artifact:read", "artifact-addition:read", "tag:list"}
)
_MORE_RIGHTS = frozenset({"delete", "artifact:delete", "tag:create", "tag:delete"})
_REGISTRY_ACTIONS = ("pull", "push", "delete")


class Accounts:
    """The accounts and their rights.

    ``robot$name`` is a system robot with rights on every project, which may also create projects;
    ``robot$project+name`` has rights on its project only; ``admin`` may do everything.

    :param passwords: account name to secret. :param key: what tokens are signed with.
    :ivar token_life: seconds that the tokens issued from now on live.
    """

    def __init__(
        self, passwords: Mapping[str, str], key: bytes, store: HarborStore, clock: Callable[[], float]
    ) -> None:
        self.token_life = TOKEN_LIFE
        self._passwords = dict(passwords)
        self._granted: dict[str, frozenset[str]] = {}
        self._key = key
        self._store = store
        self._clock = clock

    def set_password(self, name: str, password: str) -> None:
        """Add an account, or give it another secret."""
        self._passwords[name] = password

    def grant(self, name: str, actions: Collection[str]) -> None:
        """Set what an account may do in its projects.

        :param actions: ``pull``, ``push`` and ``delete`` of the registry, and Harbor's ``resource:action`` for its
            own API, as ``artifact:read``; having one gives no other.
        """
        self._granted[name] = frozenset(actions)

    def who(self, authorization: str) -> str:
        """Return the account that a ``Basic`` header proves; "" = anonymous, as wrong credentials are too."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() != "basic":
            return ""
        try:
            name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return ""
        expected = self._passwords.get(name)
        return name if expected and hmac.compare_digest(expected.encode(), password.encode()) else ""

    def rights(self, name: str, project: Project) -> frozenset[str]:
        """Return what an account ("" = anonymous) may do in a project."""
        public = _PUBLIC_RIGHTS if project.policy.public else frozenset()
        if name == ADMIN:
            return DEFAULT_RIGHTS | _PUBLIC_RIGHTS | _MORE_RIGHTS
        place, plus, _ = name.removeprefix(ROBOT).partition("+")
        if not name.startswith(ROBOT) or (plus and place != project.name):
            return public
        return self._granted.get(name, DEFAULT_RIGHTS) | public

    def creates_projects(self, name: str) -> bool:
        """Tell whether an account may create projects: the admin and system robots."""
        return name == ADMIN or (name.startswith(ROBOT) and "+" not in name)

    def allowed(self, authorization: str, repository: str, project: Project) -> frozenset[str]:
        """Return what a ``Basic`` or ``Bearer`` header allows on a repository (full name)."""
        if authorization.lower().startswith("basic "):
            return self.rights(self.who(authorization), project)
        claims = self.claims(authorization)
        if claims is None or claims["iat"] < int(project.created):  # issued before the project existed
            return frozenset()
        entries = [one for one in claims["access"] if one["name"] == repository]
        return frozenset(action for one in entries for action in one["actions"])

    def issue(self, name: str, scopes: Iterable[str]) -> dict[str, Any]:
        """Return the answer of the token service.

        What was asked for is ignored but the repository: a token tells what the account may do there.
        """
        now = int(self._clock())
        claims = {
            "iss": "harbor-token-issuer",
            "sub": name,
            "aud": [SERVICE],
            "exp": now + self.token_life,
            "nbf": now,
            "iat": now,
            "jti": secrets.token_hex(8),
            "access": [self._access(name, scope) for scope in scopes],
        }
        text = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
        return {
            "token": f"{text}.{self._signature(text)}",
            "access_token": "",
            "expires_in": self.token_life,
            "issued_at": when(now),
        }

    def claims(self, authorization: str) -> dict[str, Any] | None:
        """Return the claims of a ``Bearer`` header; None: it is none of ours, or too old."""
        scheme, _, token = authorization.partition(" ")
        text, _, signature = token.strip().rpartition(".")
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            self._signature(text).encode(), signature.encode("utf-8", "replace")
        ):
            return None
        body = text.partition(".")[2]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return claims if claims["exp"] > self._clock() else None

    def _access(self, name: str, scope: str) -> dict[str, Any]:
        kind, _, rest = scope.partition(":")
        repository = rest.rpartition(":")[0]
        allowed: frozenset[str] = frozenset()
        project = self._store.project(repository.partition("/")[0]) if "/" in repository else None
        if kind == "repository" and project:
            allowed = self.rights(name, project)
        actions = [action for action in _REGISTRY_ACTIONS if action in allowed]
        if kind == "registry" and name == ADMIN:
            actions = ["*"]
        return {"type": kind, "name": repository, "actions": actions}

    def _signature(self, text: str) -> str:
        digest = hmac.new(self._key, text.encode("utf-8", "replace"), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
