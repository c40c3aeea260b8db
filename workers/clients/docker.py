"""The Docker engine: builds, pushes and pulls through its REST API, with live output, deadlines and our errors.

The one place that imports the Docker SDK. Its low-level client is used for the transport (socket, TLS, version) only:
its `build` takes any timeout for a pause between two bytes, its `push` and `pull` report no error, and all three look
into the ``~/.docker/config.json`` of whoever runs us when they are not given credentials.
"""

import os
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from typing import Any

from docker import APIClient
from docker.auth import AuthConfig
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.errors import APIError, DockerException
from docker.utils import kwargs_from_env

from orchestrator.domain.apps import Build, Registry
from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.refs import Reference
from workers.clients.build_output import BuildOutput
from workers.clients.dockerfile import Recipe, read_recipe
from workers.clients.engine_errors import build_error, cause_of, one_line, pull_error, push_error
from workers.clients.engine_requests import (
    APP_LABEL,
    CallControl,
    answer_text,
    auth_header,
    auths_header,
    build_params,
    error_text,
    log_transfer,
    platform_of,
    pushed_digest,
    refuse_unsupported,
)
from workers.clients.engine_stream import BrokenStream, DeadlinePassed, EngineResponse, Exchange, StoppableBody, knock

CALL_TIMEOUT = 15.0
"""Seconds for a short call: version, inspect, tag, remove."""
STALL_TIMEOUT = 60.0
"""Seconds that the engine may leave a part of the build context untaken."""
PULL_TIMEOUT = 900.0
"""Seconds for one base image."""


class Engine:
    """A Docker engine. Connects on first use; every method raises `Unavailable` when the engine does not answer.

    :param host: ``unix:///var/run/docker.sock``, ``tcp://…``; "" = what ``DOCKER_HOST`` says, else the default
        socket. ``DOCKER_TLS_VERIFY`` and ``DOCKER_CERT_PATH`` count as they do for the docker command.
    """

    def __init__(self, host: str = "") -> None:
        self.host = host
        self._tidied: dict[str, float] = {}

    def ping(self) -> str:
        """Return the engine's version."""
        with _ours(Reason.ENGINE_REFUSED):
            return str(self._api.version()["Version"])

    def image_id(self, reference: str) -> str | None:
        """Return the id of a local image (``sha256:…``), or None when it is not there."""
        found = self._inspect(reference)
        return str(found["Id"]) if found else None

    def labels(self, reference: str) -> dict[str, str] | None:
        """Return the labels of a local image, or None when it is not there."""
        found = self._inspect(reference)
        return None if found is None else dict((found.get("Config") or {}).get("Labels") or {})

    def remove(self, reference: str) -> bool:
        """Remove the name of a local image, and the image with its last name.

        :return: False when there is no such image or a container uses it.
        """
        try:
            with _ours(Reason.ENGINE_REFUSED):
                self._api.remove_image(reference)
        except _Said as said:
            if said.status in (404, 409):
                return False
            raise
        return True

    def tidy(self, repository: str, app: str, keep: int, every: float = 0.0) -> list[str]:
        """Remove the older local images of an app, so that the engine's disk does not fill up.

        Only images with our label count, and of those only names in `repository` (without tag) and untagged ones.

        :param keep: how many of the newest stay. :return: the names that were removed.
        :param every: do nothing when this process has tidied for the app within so many seconds.
        """
        now = time.monotonic()
        if now - self._tidied.get(app, -every) < every:
            return []
        self._tidied[app] = now
        label = f"{APP_LABEL}={app}"
        with _ours(Reason.ENGINE_REFUSED):
            self._api.prune_images(filters={"dangling": True, "label": label})
            ids = [str(image["Id"]) for image in self._api.images(filters={"label": label})]
        found = [image for image in (self._inspect(one) for one in ids) if image is not None]
        # not by "Created": a build that is all cache keeps the date of the older image
        found.sort(key=lambda image: str((image.get("Metadata") or {}).get("LastTagTime", "")), reverse=True)
        names = (name for image in found for name in image.get("RepoTags") or ())
        named = [name for name in names if Reference.parse(name).name == repository]
        return [name for name in named[keep:] if self.remove(name)]

    def pull(self, reference: str, *, registry: Registry | None, control: CallControl, platform: str = "") -> None:
        """Pull an image.

        :param registry: whose credentials to send; None: anonymous.
        :raises Refused: BASE_IMAGE_UNAVAILABLE. :raises Unavailable: the same, when a retry may help.
        """
        image = Reference.parse(reference)
        params = {"fromImage": image.name, "tag": image.engine_tag}
        params |= {"platform": platform} if platform else {}
        headers = {"X-Registry-Auth": auth_header(registry)}
        send = self._sender(
            "/images/create", params, headers, control.deadline, lambda text: pull_error(text, reference)
        )
        slow = Unavailable(Reason.BASE_IMAGE_UNAVAILABLE, f"{reference}: not pulled within {control.deadline:.0f} s")
        with closing(_follow(send, control, slow)) as messages:
            for message in messages:
                if "error" in message:
                    raise pull_error(error_text(message), reference)
                log_transfer(message, control.on_line)

    def push(self, reference: str, *, registry: Registry, control: CallControl) -> str:
        """Push a local image and return the digest that the registry gave its manifest (``sha256:…``).

        Safe to repeat: layers that are there already are not sent again.

        :raises Refused: REGISTRY_*, TAG_IMMUTABLE, or IMAGE_MISSING when the engine does not have it.
        :raises Unavailable: REGISTRY_UNAVAILABLE, REGISTRY_READ_ONLY, ENGINE_UNAVAILABLE.
        """
        image, headers = Reference.parse(reference), {"X-Registry-Auth": auth_header(registry)}
        params = {"tag": image.engine_tag}
        send = self._sender(f"/images/{image.name}/push", params, headers, control.deadline, push_error)
        slow = Unavailable(Reason.REGISTRY_UNAVAILABLE, f"push not complete after {control.deadline:.0f} s")
        digest = ""
        with closing(_follow(send, control, slow)) as messages:
            for message in messages:
                if "error" in message:
                    raise push_error(error_text(message))
                digest = pushed_digest(message) or digest
                log_transfer(message, control.on_line)
        if not digest:
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, "the push ended without naming a digest")
        return digest

    def build(
        self,
        context: Iterable[bytes],
        *,
        dockerfile: bytes,
        tag: str,
        build: Build,
        labels: Mapping[str, str],
        registry: Registry,
        control: CallControl,
    ) -> str:
        """Build an image and return its id (``sha256:…``).

        Base images that the engine does not have are pulled first, those of `registry` with its credentials: BuildKit
        over the REST API has no session in which it could ask for a token, not even an anonymous one. Leaving this
        method in any way ends the build in the engine.

        :param context: the tar stream; read in another thread. :param dockerfile: its content, read for its needs.
        :param control: its deadline counts for everything together; `build.timeout` is not looked at.
        :raises Refused: BUILD_FAILED, BUILD_TIMEOUT, BASE_IMAGE_UNAVAILABLE, SOURCE_UNSUPPORTED, CONFIG_INVALID.
        :raises Unavailable: ENGINE_UNAVAILABLE; BASE_IMAGE_UNAVAILABLE when a retry may help.
        """
        ends = time.monotonic() + control.deadline
        recipe = read_recipe(dockerfile, dict(build.args))
        refuse_unsupported(recipe, build)
        too_slow = Refused(Reason.BUILD_TIMEOUT, f"not complete after {control.deadline:.0f} s")
        self._pull_bases(recipe, build, registry, control, ends)
        number = uuid.uuid4().hex
        params = build_params(build, tag=tag, labels=labels, number=number)
        headers = {
            "Content-Type": "application/x-tar",
            "X-Registry-Config": auths_header(registry),
        }
        left = max(1.0, ends - time.monotonic())
        send = self._sender("/build", params, headers, left, build_error, context)
        output = BuildOutput(control.on_line)
        try:
            with closing(_follow(send, replace(control, deadline=left), too_slow)) as messages:
                for message in messages:
                    output.take(message)
        except PilotageError:
            self._cancel_build(number)
            raise
        return output.finish()

    def _pull_bases(
        self, recipe: Recipe, build: Build, registry: Registry, control: CallControl, ends: float
    ) -> None:
        classic = build.builder == "classic"
        images = recipe.images(build.target, all_before=classic)
        if recipe.syntax and not classic:
            images = ((recipe.syntax, "$BUILDPLATFORM"), *images)
        for image, written in images:
            platform = platform_of(written, build)
            if not build.pull and self._has(image, platform):
                continue
            ours = image.startswith(f"{registry.host}/")
            left = ends - time.monotonic()
            control.on_line(f"pull {image}")
            self.pull(
                image,
                registry=registry if ours else None,
                control=replace(control, deadline=max(1.0, min(left, PULL_TIMEOUT))),
                platform=platform,
            )

    def _has(self, image: str, platform: str) -> bool:
        """Tell whether the engine has the image, for this platform where one is asked for."""
        found = self._inspect(image)
        if found is None or not platform:
            return found is not None
        return platform.split("/")[:2] == [found.get("Os"), found.get("Architecture")]

    def _cancel_build(self, number: str) -> None:
        """Tell BuildKit to stop; the classic builder stops when its connection ends, which has happened by now."""
        for _ in range(2):  # the connection that has just been cut off may be handed out once more
            try:
                self._api.post(self._url("/build/cancel"), params={"id": number}, timeout=5).close()
                return
            except (OSError, DockerException, PilotageError):  # its end is enough for every engine so far
                continue

    def _sender(
        self,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        seconds: float,
        refusal: Callable[[str], PilotageError],
        body: Iterable[bytes] | None = None,
    ) -> Callable[[StoppableBody], EngineResponse]:
        """Return a function that sends one request; `refusal` makes the error from the text of a refusal."""
        api = self._api

        def send(guard: StoppableBody) -> EngineResponse:
            with _ours(Reason.ENGINE_REFUSED):
                answer: EngineResponse = api.post(
                    self._url(path),
                    params=dict(params),
                    headers=dict(headers),
                    data=None if body is None else guard(iter(body)),
                    stream=True,
                    timeout=(STALL_TIMEOUT, seconds + STALL_TIMEOUT),
                )
            if answer.status_code < 400:
                return answer
            try:
                raise refusal(answer_text(answer))
            finally:
                answer.close()

        return send

    def _inspect(self, reference: str) -> dict[str, Any] | None:
        try:
            with _ours(Reason.ENGINE_REFUSED):
                found: dict[str, Any] = self._api.inspect_image(reference)
        except _Said as said:
            if said.status == 404:
                return None
            raise
        return found

    def _url(self, path: str) -> str:
        return f"{self._api.base_url}/v{self._api.api_version}{path}"

    @cached_property
    def _api(self) -> Any:
        environment = {**os.environ, **({"DOCKER_HOST": self.host} if self.host else {})}
        where = environment.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        with _ours(Reason.ENGINE_REFUSED, where):
            options = kwargs_from_env(environment)
            knock(str(options.get("base_url", "")), CALL_TIMEOUT)
            api = APIClient(version=DEFAULT_DOCKER_API_VERSION, timeout=int(CALL_TIMEOUT), **options)
        vars(api).update(_auth_configs=AuthConfig({"auths": {}}), _general_configs={})
        api.trust_env = False  # else a ~/.netrc entry or a proxy could come between us and the engine
        try:
            with _ours(Reason.ENGINE_REFUSED, where):
                # what version="auto" does, but there a failure leaves the connection open
                vars(api)["_version"] = str(api.version(api_version=False)["ApiVersion"])
        except PilotageError:
            api.close()
            raise
        return api


class _Said(Refused):
    """The engine's answer to a short call: its text and HTTP status."""

    def __init__(self, reason: Reason, evidence: str, status: int) -> None:
        super().__init__(reason, evidence)
        self.status = status


class _ours:  # noqa: N801  # reads as a phrase where it is used
    """Turn the SDK's and the network's errors into ours: no answer or 5xx is Unavailable, 4xx is Refused.

    :param where: the engine's address, named where nobody answers there.
    """

    def __init__(self, refused: Reason, where: str = "") -> None:
        self._refused = refused
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, APIError):
            status = int(error.status_code or 500)
            text = one_line(str(error.explanation or error))
            if status < 500:
                raise _Said(self._refused, text, status) from error
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, text) from error
        if isinstance(error, (DockerException, OSError)) and not isinstance(error, PilotageError):
            named = f"{self._where}: " if self._where else ""
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, named + cause_of(error)) from error


def _follow(
    send: Callable[[StoppableBody], EngineResponse], control: CallControl, too_slow: PilotageError
) -> Generator[dict[str, Any], None, None]:
    """Yield the messages of one exchange, in our errors."""
    try:
        with Exchange(send) as exchange:
            yield from exchange.messages(control.checkpoint, time.monotonic() + control.deadline)
    except DeadlinePassed as error:
        raise too_slow from error
    except BrokenStream as error:
        raise Unavailable(
            Reason.ENGINE_UNAVAILABLE, f"the engine's answer broke off: {one_line(str(error))}"
        ) from error
