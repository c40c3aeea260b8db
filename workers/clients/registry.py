"""The registry that holds the images, over the OCI distribution API: who may push, and what a tag holds.

Works with Harbor and with any registry that wants tokens, a login, or nothing (docs/spec/auth in
distribution/distribution; OCI distribution spec 1.1).
"""

import base64
import hashlib
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from orchestrator.domain.apps import Registry
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.http import Authorization, Http, Observe
from workers.clients.registry_answers import ACCEPT, DIGEST, first_error, is_json, json_object, pick_platform
from workers.clients.registry_auth import Challenge, granted_actions, read_challenge, safe_realm
from workers.shapes import mapping

_MAY_PUSH = frozenset({"push", "*"})
"""Actions of a token with which one may push."""
_EARLY = 30.0
"""Seconds before its end at which a token is not used any more."""
_DEFAULT_LIFE = 60.0
"""Seconds that a token lives when the service does not say (docs/spec/auth/token)."""
_LONGEST_LIFE = 86_400.0
"""Seconds after which a token is not used any more, whatever the service says."""


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    ends: float


class RegistryClient:
    """Asks one registry. Thread-safe.

    The credentials go to the registry itself and to a token service on the same host, never anywhere else: a
    challenge is data from the network, and whoever can forge one could otherwise collect our password. A token
    service on another host must be named by `registry.token_url`, and then only that one is asked.
    """

    def __init__(self, registry: Registry, observe: Observe | None = None) -> None:
        self._registry = registry
        self._http = Http(registry.url, Reason.REGISTRY_UNAVAILABLE, ca_file=registry.ca_file, observe=observe)
        self._lock = threading.Lock()
        self._challenge: Challenge | None = None
        self._was_there = False
        self._tokens: dict[str, _Token] = {}

    def ping(self) -> None:
        """Prove that the registry answers and, where it wants a login for everything, accepts ours.

        :raises Refused: REGISTRY_UNAUTHORIZED. :raises Unavailable: REGISTRY_UNAVAILABLE.
        """
        self._ask("GET", "/v2/", "")

    def check_push(self, repository: str, *, anew: bool = False) -> None:
        """Prove that our account may push to `repository`, before twenty minutes of build are spent.

        Harbor answers a wrong password with 200 and a token that allows less, so the token's ``access`` is read. When
        the token is not readable (or there is none), an upload is begun and given up at once.

        :param anew: what was allowed a while ago does not count.
        :raises Refused: REGISTRY_UNAUTHORIZED, REGISTRY_PROJECT_MISSING, REGISTRY_READ_ONLY, REGISTRY_REFUSED.
        :raises Unavailable: REGISTRY_UNAVAILABLE.
        """
        scope = _scope(repository, "pull,push")
        if anew:
            self._forget(scope)
        if self._how().scheme == "bearer":
            granted = granted_actions(self._token(scope), repository)
            if granted is not None and not granted & _MAY_PUSH:
                self._forget(scope)  # it holds what was allowed when it was made: push may have been granted since
                granted = granted_actions(self._token(scope), repository)
            if granted is not None:
                self._judge_grant(repository, granted)
                return
        self._try_upload(repository, scope)

    def digest(self, repository: str, reference: str) -> str | None:
        """Return the digest that a tag (or digest) has in the registry, or None when it has none.

        :raises Refused: IMAGE_BLOCKED, a policy forbids pulls of it; REGISTRY_UNAUTHORIZED; REGISTRY_REFUSED.
        :raises Unavailable: REGISTRY_UNAVAILABLE.
        """
        answer = self._manifest("HEAD", repository, reference)
        if answer is None:
            return None
        digest = answer.headers.get("Docker-Content-Digest", "")
        if not DIGEST.match(digest):  # a proxy in between may drop it from HEAD; the content proves itself
            answer = self._manifest("GET", repository, reference)
            digest = f"sha256:{hashlib.sha256(answer.content).hexdigest()}" if answer is not None else ""
        return digest or None

    def may_pull(self, repository: str, reference: str) -> bool:
        """Tell whether our account may pull an image that is there; what was allowed a while ago does not count.

        :raises Unavailable: REGISTRY_UNAVAILABLE.
        """
        self._forget(_scope(repository, "pull"))
        try:
            return self._manifest("HEAD", repository, reference) is not None
        except Refused:
            return False

    def labels(self, repository: str, reference: str) -> dict[str, str] | None:
        """Return the labels of an image, read from its config in the registry; None when it is not there.

        Of an image index those of `pick_platform`'s choice.

        :raises Refused, Unavailable: as `digest`; REGISTRY_REFUSED also when the config does not match its digest.
        """
        answer = self._manifest("GET", repository, reference)
        manifest = json_object(answer.content) if answer is not None else None
        if manifest is not None and "manifests" in manifest:
            child = pick_platform(manifest)
            answer = self._manifest("GET", repository, child) if child else None
            manifest = json_object(answer.content) if answer is not None else {}
        if manifest is None:
            return None
        config = str(mapping(manifest.get("config")).get("digest", ""))
        if not DIGEST.match(config):
            return {}
        content = json_object(self._blob(repository, config))
        labels = mapping(mapping(content.get("config")).get("Labels"))
        return {str(name): str(value) for name, value in labels.items()}

    def _manifest(self, method: str, repository: str, reference: str) -> Any:
        path = f"/v2/{repository}/manifests/{quote(reference, safe=':')}"
        answer = self._ask(method, path, _scope(repository, "pull"), headers={"Accept": ACCEPT})
        if answer.status_code == 404:
            self._check_absence(answer)
            return None
        if answer.status_code == 412 and method == "HEAD":
            return self._manifest("GET", repository, reference)  # which says why
        if answer.status_code == 412:
            said = first_error(answer.content) or "its policy forbids pulls of this image"
            raise Refused(Reason.IMAGE_BLOCKED, f"{repository}:{reference}: {said}")
        self._expect(answer, 200, f"{method} of {repository}:{reference}")
        return answer

    def _check_absence(self, answer: Any) -> None:
        """See that a 404 is the registry's own: a proxy before it that does not know it now says the same.

        :raises Unavailable: REGISTRY_UNAVAILABLE, there is no registry at its address.
        """
        if is_json(answer):
            return
        status = self._http.request("GET", "/v2/", auth=Authorization("")).status_code
        if status not in (200, 401):
            raise self._lost(status)

    def _lost(self, status: int) -> Unavailable:
        return Unavailable(Reason.REGISTRY_UNAVAILABLE, f"{self._registry.url}/v2/ answers HTTP {status}")

    def _blob(self, repository: str, digest: str) -> bytes:
        answer = self._ask("GET", f"/v2/{repository}/blobs/{digest}", _scope(repository, "pull"))
        if answer.status_code in (301, 302, 303, 307, 308):
            answer = self._elsewhere(answer.headers.get("Location", ""))
        self._expect(answer, 200, f"blob {digest} of {repository}")
        content: bytes = answer.content
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise Refused(Reason.REGISTRY_REFUSED, f"blob {digest} of {repository} has another content")
        return content

    def _elsewhere(self, location: str) -> Any:
        """Fetch what the registry keeps in an object store, without credentials: the address is signed.

        So it opens the blob to whoever reads it, and errors name no more of it than its host.
        """
        url = self._led_to(location)
        parts = urlsplit(url)
        if parts.netloc == urlsplit(self._registry.url).netloc:
            return self._http.request("GET", url, auth=Authorization(""))
        store = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        http = Http(store, Reason.REGISTRY_UNAVAILABLE, ca_file=self._registry.ca_file)
        try:
            return http.request("GET", url, auth=Authorization(""))
        finally:
            http.close()

    def _led_to(self, location: str) -> str:
        """Return the whole address of a ``Location``."""
        try:
            return urljoin(self._registry.url + "/", location)
        except ValueError:
            raise Refused(Reason.REGISTRY_REFUSED, "the registry names an address that cannot be read") from None

    def _try_upload(self, repository: str, scope: str) -> None:
        answer = self._ask("POST", f"/v2/{repository}/blobs/uploads/", scope, headers={"Content-Length": "0"})
        if answer.status_code == 405:
            raise Refused(Reason.REGISTRY_READ_ONLY, f"no uploads to {repository}: {first_error(answer.content)}")
        if answer.status_code == 404:
            raise Refused(Reason.REGISTRY_PROJECT_MISSING, f"{repository}: {first_error(answer.content)}")
        self._expect(answer, 202, f"upload to {repository}")
        url = self._led_to(answer.headers.get("Location", ""))
        if urlsplit(url).hostname == urlsplit(self._registry.url).hostname:
            with suppress(Refused, Unavailable):  # to push takes no right to delete; it goes by itself in time
                self._ask("DELETE", urlsplit(url)._replace(scheme="", netloc="").geturl(), scope)

    def _judge_grant(self, repository: str, granted: frozenset[str]) -> None:
        if not granted & _MAY_PUSH:
            allowed = ", ".join(sorted(granted)) or "nothing"
            raise Refused(
                Reason.REGISTRY_UNAUTHORIZED,
                f"the token for {self._registry.username or 'anonymous'} allows {allowed} on {repository}, not push"
                " (wrong password, no push permission, or no such project)",
            )

    def _expect(self, answer: Any, status: int, what: str) -> None:
        if answer.status_code == status:
            return
        said = f"{what}: HTTP {answer.status_code} {first_error(answer.content)}".rstrip()
        if answer.status_code == 403:
            raise Refused(Reason.REGISTRY_UNAUTHORIZED, said)
        raise Refused(Reason.REGISTRY_REFUSED, said)

    def _ask(self, method: str, path: str, scope: str, headers: Mapping[str, str] | None = None) -> Any:
        """Send one request with the right authorization; once again with a fresh one when the first is refused."""
        answer = self._http.request(
            method, path, headers=dict(headers or {}), auth=Authorization(self._authorization(scope))
        )
        if answer.status_code == 401:
            self._forget(scope)
            authorization = Authorization(self._authorization(scope))
            answer = self._http.request(method, path, headers=dict(headers or {}), auth=authorization)
        if answer.status_code == 401:
            raise Refused(
                Reason.REGISTRY_UNAUTHORIZED,
                f"{self._registry.username or 'anonymous'} at {self._registry.host}: {first_error(answer.content)}",
            )
        return answer

    def _forget(self, scope: str) -> None:
        """Forget the challenge and the token for `scope`: the next request gets both anew."""
        with self._lock:
            self._tokens.pop(scope, None)
            self._challenge = None

    def _authorization(self, scope: str) -> str:
        scheme = self._how().scheme
        if scheme == "bearer":
            return f"Bearer {self._token(scope)}"
        return self._basic() if scheme == "basic" else ""

    def _basic(self) -> str:
        if not self._registry.username:
            return ""
        pair = f"{self._registry.username}:{self._registry.password.reveal()}"
        return "Basic " + base64.b64encode(pair.encode()).decode("ascii")

    def _how(self) -> Challenge:
        """Get the registry's challenge, without credentials: with them, Harbor names only Basic."""
        with self._lock:
            if self._challenge is not None:
                return self._challenge
        answer = self._http.request("GET", "/v2/", auth=Authorization(""))
        found = read_challenge(answer.headers.get("WWW-Authenticate", "")) if answer.status_code == 401 else None
        if found is None and answer.status_code not in (200, 401):
            if self._was_there:
                raise self._lost(answer.status_code)
            raise Refused(
                Reason.REGISTRY_REFUSED, f"{self._registry.url}/v2/ is no registry: HTTP {answer.status_code}"
            )
        challenge = found or Challenge(scheme="none" if answer.status_code == 200 else "basic")
        with self._lock:
            self._challenge, self._was_there = challenge, True
        return challenge

    def _token(self, scope: str) -> str:
        with self._lock:
            token = self._tokens.get(scope)
        if token is None or token.ends <= time.monotonic():
            token = self._fetch_token(scope)
            with self._lock:
                self._tokens[scope] = token
        return token.text

    def _fetch_token(self, scope: str) -> _Token:
        challenge = self._how()
        realm = self._registry.token_url or safe_realm(challenge.realm, self._registry.url)
        params = {name: value for name, value in (("service", challenge.service), ("scope", scope)) if value}
        answer = self._http.request("GET", realm, params=params, auth=Authorization(self._basic()))
        if answer.status_code == 404:
            raise Unavailable(Reason.REGISTRY_UNAVAILABLE, f"the token service {realm} answers HTTP 404")
        if answer.status_code != 200:
            raise Refused(
                Reason.REGISTRY_UNAUTHORIZED,
                f"the token service answers {self._registry.username or 'anonymous'} with HTTP {answer.status_code}",
            )
        body = json_object(answer.content)
        text = str(body.get("token") or body.get("access_token") or "")
        if not text or not text.isascii() or not text.isprintable():
            raise Refused(Reason.REGISTRY_REFUSED, "the token service answers without a token")
        life = body.get("expires_in")
        seconds = min(life, _LONGEST_LIFE) if isinstance(life, (int, float)) and life > 0 else _DEFAULT_LIFE
        return _Token(text, time.monotonic() + max(seconds - _EARLY, seconds / 2))


def _scope(repository: str, actions: str) -> str:
    return f"repository:{repository}:{actions}"
