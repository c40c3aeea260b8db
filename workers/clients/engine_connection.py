"""The connection to a Docker engine, and where its errors become ours: the one place that imports the Docker SDK.

The SDK's low-level client is used for the transport (socket, TLS, version) and for short calls only: its `build`
takes any timeout for a pause between two bytes, its `push` and `pull` report no error, and all three look into the
``~/.docker/config.json`` of whoever runs us when they are not given credentials.
"""

import contextlib
import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from docker import APIClient
from docker.auth import AuthConfig
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.errors import APIError, DockerException
from docker.utils import kwargs_from_env

from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.engine_errors import cause_of, one_line
from workers.clients.engine_requests import answer_text
from workers.clients.engine_stream import EngineResponse, knock

CALL_TIMEOUT = 15.0
"""Seconds for a short call: version, inspect, tag, remove."""
_OTHER_VERSION = re.compile(r"client version \S+ is too (?:old|new)", re.IGNORECASE)
"""What an engine says where it does not speak our version of its API (moby, api/server/middleware/version.go)."""
_NO_NAME = re.compile(r"invalid (?:reference|tag|digest) format|repository name must", re.IGNORECASE)
"""What an engine says of a name that no image can have (distribution, reference/reference.go); with 400."""


class EngineConnection:
    """Connects on first use; every method raises `Unavailable` when the engine does not answer.

    :param host: see `workers.clients.docker.Engine`.
    """

    def __init__(self, host: str) -> None:
        self._host = host

    def version(self) -> str:
        """Return the engine's version."""
        with self._asking():
            return str(self._api.version()["Version"])

    @cached_property
    def platform(self) -> str:
        """The platform that the engine is on and builds for by itself, such as ``linux/amd64``; asked for once: an
        engine that tells its version starts two programs."""
        with self._asking():
            said = self._api.version(api_version=False)
        return f"{said.get('Os') or ''}/{said.get('Arch') or ''}"

    def inspect(self, reference: str) -> dict[str, Any] | None:
        """Return what the engine says about a local image, or None when it is not there.

        Nor is one with a name that no image can have, or whose name leads to another question of the API.
        """
        try:
            with self._asking():
                found = self._api.inspect_image(reference)
        except _Said as said:
            if said.status == 404 or _NO_NAME.search(said.evidence):
                return None
            raise
        return found if isinstance(found, dict) else None

    def remove(self, reference: str) -> bool:
        """Remove the name of a local image; False when there is none, or a container uses it."""
        try:
            with self._asking():
                self._api.remove_image(reference)
        except _Said as said:
            if said.status in (404, 409):
                return False
            raise
        return True

    def tidied(self, label: str) -> list[str]:
        """Remove the images with a label and without a name, and return the ids of all that then have it."""
        try:
            with self._asking():
                self._api.prune_images(filters={"dangling": True, "label": label})
        except _Said as said:
            if said.status != 409:  # another worker's, or a person's, is at work; the engine runs one at a time
                raise
        with self._asking():
            return [str(image["Id"]) for image in self._api.images(filters={"label": label})]

    def post(
        self,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        body: Iterable[bytes] | None,
        timeout: tuple[float, float],
    ) -> EngineResponse:
        """Send one request and return its answer, of whatever status, unread.

        :param timeout: seconds to connect and send a part, and seconds of silence while the answer is read.
        """
        with self._asking():
            answer: EngineResponse = self._api.post(
                f"{self._api.base_url}/v{self._api.api_version}{path}",
                params=dict(params),
                headers=dict(headers),
                data=body,
                stream=True,
                timeout=timeout,
            )
        if answer.status_code == 400:
            self._look_at_version(answer_text(answer))
        return answer

    def upgrade(self, path: str, headers: Mapping[str, str]) -> "Upgraded":
        """Have the engine turn the connection of a request into one of HTTP/2.

        :raises Refused: ENGINE_REFUSED, it does not. :raises Unavailable: it cannot at the moment.
        """
        wanted = {"Connection": "Upgrade", "Upgrade": "h2c", **headers}
        answer = self.post(path, {}, wanted, None, (CALL_TIMEOUT, CALL_TIMEOUT))
        if answer.status_code == 101:
            return Upgraded(answer)
        with contextlib.closing(answer):
            said = f"{path}: {answer.status_code}, {one_line(answer_text(answer))}"
        if answer.status_code >= 500:
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, said)
        hint = "a proxy between us and the engine has to pass `Upgrade: h2c` on"
        raise Refused(Reason.ENGINE_REFUSED, f"{said}; {hint}")

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """Have the errors of a call be ours."""
        try:
            with _ours():
                yield
        except _Said as said:
            self._look_at_version(said.evidence)
            raise

    def _look_at_version(self, said: str) -> None:
        """Take the version anew where the engine that we took it from was replaced, as by an upgrade.

        :raises Unavailable: it was; the next call is made in the version of the one that answers now.
        """
        if _OTHER_VERSION.search(said):
            vars(self).pop("_api", None)
            vars(self).pop("platform", None)
            raise Unavailable(
                Reason.ENGINE_UNAVAILABLE, f"the engine was replaced by another version: {one_line(said)}"
            )

    @cached_property
    def _api(self) -> Any:
        environment = {**os.environ, **({"DOCKER_HOST": self._host} if self._host else {})}
        where = environment.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        with _ours(where):
            options = kwargs_from_env(environment)
            knock(str(options.get("base_url", "")), CALL_TIMEOUT)
            api = APIClient(version=DEFAULT_DOCKER_API_VERSION, timeout=int(CALL_TIMEOUT), **options)
        vars(api).update(_auth_configs=AuthConfig({"auths": {}}), _general_configs={})
        api.trust_env = False  # else a ~/.netrc entry or a proxy could come between us and the engine
        try:
            with _ours(where):
                # what version="auto" does, but there a failure leaves the connection open
                vars(api)["_version"] = str(api.version(api_version=False)["ApiVersion"])
        except PilotageError:
            api.close()
            raise
        return api


class Upgraded:
    """A `workers.clients.build_session.Wire`."""

    def __init__(self, answer: EngineResponse) -> None:
        self._answer = answer
        self._reader = answer.raw._fp.fp  # as the SDK does it; bytes behind the headers are in there
        self._socket: socket.socket = self._reader.raw._sock
        self._socket.settimeout(None)  # it is closed when the build ends

    def receive(self, size: int) -> bytes:
        """Wait for bytes."""
        return bytes(self._reader.read1(size))

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self._socket.sendall(data)

    def close(self) -> None:
        """Shut the socket, which wakes whoever reads, and give it up."""
        with contextlib.suppress(OSError):  # it is closed already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._answer.close()


class _Said(Refused):
    """The engine's answer to a short call: its text and HTTP status."""

    def __init__(self, evidence: str, status: int) -> None:
        super().__init__(Reason.ENGINE_REFUSED, evidence)
        self.status = status


class _ours:  # noqa: N801  # reads as a phrase where it is used
    """Turn the SDK's and the network's errors into ours: no answer or 5xx is Unavailable, 4xx is Refused.

    :param where: the engine's address, named where nobody answers there.
    """

    def __init__(self, where: str = "") -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, APIError):
            status = int(error.status_code or 500)
            text = one_line(str(error.explanation or error))
            if status < 500:
                raise _Said(text, status) from error
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, text) from error
        if isinstance(error, (DockerException, OSError)) and not isinstance(error, PilotageError):
            named = f"{self._where}: " if self._where else ""
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, named + cause_of(error)) from error
