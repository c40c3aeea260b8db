"""What is sent to the Docker engine and how its answers are read: the pure half of its client."""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.apps import Build, Registry
from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from workers.clients.build_context import dockerfile_path
from workers.clients.dockerfile import Mount, Recipe
from workers.clients.engine_errors import one_line

APP_LABEL = "dev.pilotage.app"
RUN_LABEL = "dev.pilotage.run"
REVISION_LABEL = "org.opencontainers.image.revision"
SOURCE_LABEL = "org.opencontainers.image.source"
CACHE_NAMESPACE = "BUILDKIT_CACHE_MOUNT_NS"
"""Build argument that BuildKit's frontend for Dockerfiles takes for itself: whose cache mounts a build shares."""
_PUSHED = re.compile(r"\bdigest: (sha256:[0-9a-f]{64})\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallControl:
    """How the caller follows a long call, and ends it.

    :param on_line: gets each line of output as it comes, in the caller's thread.
    :param checkpoint: called about every second; raises to stop the work.
    :param deadline: seconds for the whole call.
    """

    on_line: Callable[[str], None]
    checkpoint: Callable[[], None]
    deadline: float


def refuse_unsupported(recipe: Recipe, build: Build) -> None:
    """Refuse before the build what it could not be given.

    :raises Refused: SOURCE_UNSUPPORTED or SECRET_MISSING, with the line of the Dockerfile.
    """
    for mount in recipe.mounts(build.target):
        here = f"Dockerfile line {mount.line}"
        if build.builder == "classic":
            said = f"{here}: RUN --mount needs BuildKit; set `build.builder: buildkit`"
            raise Refused(Reason.SOURCE_UNSUPPORTED, said)
        if mount.kind == "ssh":
            said = f"{here}: SSH keys are not handed over; use an https address and a token in `build.secrets`"
            raise Refused(Reason.SOURCE_UNSUPPORTED, said)
        if mount.required and _is_missing(mount, build):
            raise Refused(Reason.SECRET_MISSING, f"{here} mounts `{mount.name}`")


def missing_secrets(recipe: Recipe, build: Build) -> Iterator[str]:
    """Yield a line for each secret that a step mounts and nobody configured: BuildKit leaves it out silently."""
    for mount in recipe.mounts(build.target):
        if _is_missing(mount, build):
            yield (
                f"Dockerfile line {mount.line}: the secret `{mount.name}` is not in the app's `build.secrets`;"
                " the step runs without it"
            )


def needs_session(recipe: Recipe, build: Build) -> bool:
    """Tell whether BuildKit may ask for secrets; a step of a base image (ONBUILD) may do so, too."""
    if build.builder == "classic":
        return False
    return bool(build.secrets) or any(mount.kind == "secret" for mount in recipe.mounts(build.target))


def _is_missing(mount: Mount, build: Build) -> bool:
    """Tell whether a secret is not there; whether one without a plain name is, BuildKit finds out."""
    named = mount.kind == "secret" and bool(mount.name) and "$" not in mount.name
    return named and mount.name not in dict(build.secrets)


def build_params(
    build: Build, *, tag: str, labels: Mapping[str, str], anew: bool = False, session: str = ""
) -> dict[str, str]:
    """Return the query of ``POST /build``.

    :param anew: every step runs, whatever the engine's cache holds. :param session: id of an open one; "" = none.

    ``pull`` is never set: we have pulled ourselves, with credentials, what must be fresh.
    """
    params = {
        "version": "1" if build.builder == "classic" else "2",
        "t": tag,
        "dockerfile": dockerfile_path(build.dockerfile),
        "labels": json.dumps(dict(labels)),
        "rm": "1",
        "forcerm": "1",
    }
    if anew:
        params["nocache"] = "1"
    args = _own_caches(build, labels) | dict(build.args)
    if args:
        params["buildargs"] = json.dumps(args)
    optional = {"target": build.target, "platform": build.platform, "networkmode": build.network, "session": session}
    return params | {name: value for name, value in optional.items() if value}


def _own_caches(build: Build, labels: Mapping[str, str]) -> dict[str, str]:
    """Keep cache mounts to one app: what it leaves there, another one's build would use."""
    app = labels.get(APP_LABEL)
    return {CACHE_NAMESPACE: app} if app and build.builder != "classic" else {}


def auth_header(registry: Registry | None) -> str:
    """Return ``X-Registry-Auth``: the credentials as URL-safe base64 of JSON; an empty object: anonymous."""
    return _encoded(_credentials(registry))


def auths_header(registry: Registry) -> str:
    """Return ``X-Registry-Config``: the credentials by registry, for the classic builder."""
    return _encoded({registry.host: _credentials(registry)})


def _encoded(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode("ascii")


def _credentials(registry: Registry | None) -> dict[str, str]:
    if registry is None or not registry.username:
        return {}
    return {
        "username": registry.username,
        "password": registry.password.reveal(),
        "serveraddress": registry.host,
    }


def is_of_engine(answer: Any) -> bool:
    """Tell whether an error answer is the engine's, which says why in JSON; a proxy in front of it has a page."""
    try:
        body = answer.json()
    except ValueError:
        return False
    return isinstance(body, dict) and "message" in body


def answer_text(answer: Any) -> str:
    """Return the ``message`` of an error answer, or its status when it has none."""
    try:
        body = answer.json()
    except ValueError:
        return f"HTTP {answer.status_code}"
    return str(body.get("message", body)) if isinstance(body, dict) else f"HTTP {answer.status_code}"


def error_text(message: Mapping[str, Any]) -> str:
    """Return the text of an error in a stream."""
    detail = message.get("errorDetail")
    return str((detail.get("message") if isinstance(detail, dict) else "") or message["error"])


def platform_of(written: str, build: Build) -> str:
    """Return the platform of a base image, "" = the engine's own. :param written: its ``--platform``, "" = none."""
    if not written or "TARGETPLATFORM" in written:
        return build.platform
    return "" if "$" in written else written


def pushed_digest(message: Mapping[str, Any]) -> str:
    """Return the digest that a message of a push names, "" when it names none.

    The engine's own image store sends it as ``aux`` beside a status; containerd's (the default from 29 on) sends only
    the status "1: digest: sha256:… size: 855" (moby, daemon/containerd/image_push.go).
    """
    aux = message.get("aux")
    if isinstance(aux, dict) and aux.get("Digest"):
        return str(aux["Digest"])
    said = _PUSHED.search(str(message.get("status", "")))
    return said[1] if said else ""


def log_transfer(message: Mapping[str, Any], on_line: Callable[[str], None]) -> None:
    """Log what happens to a layer, without the progress bars."""
    status = str(message.get("status") or "")
    if status and not message.get("progressDetail") and status not in ("Preparing", "Waiting"):
        part = message.get("id")
        on_line(one_line(f"{part}: {status}" if part else status))
