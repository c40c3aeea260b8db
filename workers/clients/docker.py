"""The Docker engine: builds, pushes and pulls through its REST API, with live output, deadlines and our errors."""

import math
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from orchestrator.domain.apps import Build, Registry
from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.refs import Reference
from workers.clients.build_output import BuildOutput
from workers.clients.dockerfile import Recipe, automatic_args, read_recipe
from workers.clients.engine_connection import EngineConnection
from workers.clients.engine_errors import build_error, foreign_error, one_line, pull_error, push_error, refuses_login
from workers.clients.engine_requests import (
    APP_LABEL,
    CallControl,
    answer_text,
    auth_header,
    auths_header,
    build_params,
    error_text,
    is_of_engine,
    log_transfer,
    missing_secrets,
    needs_session,
    platform_of,
    pushed_digest,
    refuse_unsupported,
)
from workers.clients.engine_stream import (
    BrokenStream,
    DeadlinePassed,
    EngineResponse,
    Exchange,
    NotBegun,
    StoppableBody,
)

STALL_TIMEOUT = 60.0
"""Seconds that the engine may leave a part of the build context untaken."""
PULL_TIMEOUT = 900.0
"""Seconds for one base image."""
BEGINS = 120.0
"""Seconds in which BuildKit begins a first step, and the engine its answer, once it has the build. The scheduler of
BuildKit can fall into a loop (moby/buildkit#2526; seen with Docker 20.10): then none begins until the engine ends."""


class Engine:
    """A Docker engine. Connects on first use; every method raises `Unavailable` when the engine does not answer.

    :param host: ``unix:///var/run/docker.sock``, ``tcp://…``; "" = what ``DOCKER_HOST`` says, else the default
        socket. ``DOCKER_TLS_VERIFY`` and ``DOCKER_CERT_PATH`` count as they do for the docker command.
    """

    def __init__(self, host: str = "") -> None:
        self._connection = EngineConnection(host)
        self._tidied: dict[str, float] = {}

    def ping(self) -> str:
        """Return the engine's version."""
        return self._connection.version()

    def image_id(self, reference: str) -> str | None:
        """Return the id of a local image (``sha256:…``), or None when it is not there."""
        found = self._connection.inspect(reference)
        return str(found["Id"]) if found else None

    def labels(self, reference: str) -> dict[str, str] | None:
        """Return the labels of a local image, or None when it is not there."""
        found = self._connection.inspect(reference)
        return None if found is None else dict((found.get("Config") or {}).get("Labels") or {})

    def remove(self, reference: str) -> bool:
        """Remove the name of a local image, and the image with its last name.

        :return: False when there is no such image or a container uses it.
        """
        return self._connection.remove(reference)

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
        ids = self._connection.tidied(f"{APP_LABEL}={app}")
        found = [image for image in (self._connection.inspect(one) for one in ids) if image is not None]
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
        anew: bool = False,
        may_pull: Callable[[str, str], bool] = lambda *_: False,
    ) -> str:
        """Build an image and return its id (``sha256:…``).

        Base images that the engine does not have are pulled first, those of `registry` with its credentials: without
        a session BuildKit cannot ask for a token, not even an anonymous one. A session is opened for secrets alone.
        Leaving this method in any way ends the build in the engine.

        :param context: the tar stream; read in another thread. :param dockerfile: its content, read for its needs.
        :param anew: run every step, whatever the cache holds, on newer base images where they can be pulled.
        :param control: its deadline counts for everything together; `build.timeout` is not looked at.
        :param may_pull: asked, when the registry refuses the engine, whether our account may pull an image: its
            repository in `registry`, and its tag or digest.
        :raises Refused: BUILD_FAILED, BUILD_TIMEOUT, BASE_IMAGE_UNAVAILABLE, SOURCE_UNSUPPORTED, SECRET_MISSING;
            ENGINE_REFUSED, it opens no session.
        :raises Unavailable: ENGINE_UNAVAILABLE; BASE_IMAGE_UNAVAILABLE when a retry may help.
        """
        ends = time.monotonic() + control.deadline
        classic = build.builder == "classic"
        automatic = {} if classic else automatic_args(build.platform, self._connection.platform)
        recipe = read_recipe(dockerfile, dict(build.args), automatic)
        refuse_unsupported(recipe, build)
        too_slow = Refused(Reason.BUILD_TIMEOUT, f"not complete after {control.deadline:.0f} s")
        for image, platform in _bases(recipe, build):
            control.checkpoint()
            if time.monotonic() >= ends:
                raise too_slow
            enough = not build.pull and self._has(image, platform)
            if enough and not anew:
                continue
            within = replace(control, deadline=max(1.0, min(ends - time.monotonic(), PULL_TIMEOUT)))
            try:
                self._pull_base(image, platform, registry, within, may_pull)
            except (Refused, Unavailable) as error:
                if not enough or error.reason is not Reason.BASE_IMAGE_UNAVAILABLE:
                    raise
                control.on_line(f"{image} is taken as the engine has it: {error.evidence}")
        for note in missing_secrets(recipe, build):
            control.on_line(note)
        left = max(1.0, ends - time.monotonic())
        with self._session(recipe, build) as session:
            params = build_params(build, tag=tag, labels=labels, anew=anew, session=session)
            return self._build(params, context, registry, replace(control, deadline=left), too_slow)

    def _build(
        self,
        params: Mapping[str, str],
        context: Iterable[bytes],
        registry: Registry,
        control: CallControl,
        too_slow: PilotageError,
    ) -> str:
        number = uuid.uuid4().hex
        headers = {"Content-Type": "application/x-tar", "X-Registry-Config": auths_header(registry)}
        numbered = {**params, "buildid": number}
        send = self._sender("/build", numbered, headers, control.deadline, build_error, context)
        output = BuildOutput(control.on_line)
        try:
            # The classic builder says nothing while it unpacks a large context.
            begins = BEGINS if params.get("version") == "2" else math.inf
            with closing(_follow(send, control, too_slow, begins)) as messages:
                for message in messages:
                    output.take(message)
        except PilotageError:
            self._cancel_build(number)
            raise
        return output.finish()

    @contextmanager
    def _session(self, recipe: Recipe, build: Build) -> Iterator[str]:
        """Open a session for a build that needs one; its id, "" = none."""
        if not needs_session(recipe, build):
            yield ""
            return
        from workers.clients.build_session import BuildSession  # with HTTP/2, which nothing else here needs

        secrets = {name: secret.reveal().encode() for name, secret in build.secrets}
        with BuildSession(partial(self._connection.upgrade, "/session"), secrets) as session:
            yield session.id

    def _pull_base(
        self,
        image: str,
        platform: str,
        registry: Registry,
        control: CallControl,
        may_pull: Callable[[str, str], bool],
    ) -> None:
        """Pull an image of a build; what is in `registry` with our login.

        An engine learns from the answer to ``GET /v2/`` how to log in. Where that is a 503, as while a registry
        restarts, it goes on without a login and is refused (seen with Docker 20.10).
        """
        ours = image.startswith(f"{registry.host}/")
        control.on_line(f"pull {image}")
        try:
            self.pull(image, registry=registry if ours else None, control=control, platform=platform)
        except Refused as error:
            named = Reference.parse(image)
            if not (ours and refuses_login(error) and may_pull(named.path, named.engine_tag)):
                raise
            said = "refused the engine, though our account may pull; it may have been restarting"
            raise Unavailable(Reason.BASE_IMAGE_UNAVAILABLE, f"the registry {said}: {error.evidence}") from error

    def _has(self, image: str, platform: str) -> bool:
        """Tell whether the engine has the image, for this platform where one is asked for."""
        found = self._connection.inspect(image)
        if found is None or not platform:
            return found is not None
        return platform.split("/")[:2] == [found.get("Os"), found.get("Architecture")]

    def _cancel_build(self, number: str) -> None:
        """Tell BuildKit to stop; the classic builder stops when its connection ends, which has happened by now."""
        for _ in range(2):  # the connection that has just been cut off may be handed out once more
            try:
                self._connection.post("/build/cancel", {"id": number}, {}, None, (5, 5)).close()
                return
            except PilotageError:  # its end is enough for every engine so far
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

        def send(guard: StoppableBody) -> EngineResponse:
            data = None if body is None else guard(iter(body))
            answer = self._connection.post(path, params, headers, data, (STALL_TIMEOUT, seconds + STALL_TIMEOUT))
            if answer.status_code < 400:
                return answer
            try:
                raise refusal(answer_text(answer)) if is_of_engine(answer) else foreign_error(answer.status_code)
            finally:
                answer.close()

        return send


def _bases(recipe: Recipe, build: Build) -> Iterator[tuple[str, str]]:
    """Yield the images that a build begins from, each with its platform; "" = the engine's own."""
    classic = build.builder == "classic"
    if recipe.syntax and not classic:
        yield recipe.syntax, platform_of("$BUILDPLATFORM", build)
    for image, written in recipe.images(build.target, all_before=classic):
        yield image, platform_of(written, build)


def _follow(
    send: Callable[[StoppableBody], EngineResponse],
    control: CallControl,
    too_slow: PilotageError,
    begins: float = math.inf,
) -> Generator[dict[str, Any], None, None]:
    """Yield the messages of one exchange, in our errors."""
    try:
        with Exchange(send) as exchange:
            yield from exchange.messages(control.checkpoint, time.monotonic() + control.deadline, begins)
    except DeadlinePassed as error:
        raise too_slow from error
    except NotBegun as error:
        said = f"it has taken the build and begun none of its steps for {begins:.0f} s"
        raise Unavailable(Reason.ENGINE_UNAVAILABLE, said) from error
    except BrokenStream as error:
        raise Unavailable(
            Reason.ENGINE_UNAVAILABLE, f"the engine's answer broke off: {one_line(str(error))}"
        ) from error
