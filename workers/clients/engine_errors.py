"""What the Docker engine's error texts mean for us: one table for builds, one for pulls, one for pushes.

The engine answers 200 and reports errors as text inside the stream; the texts come from the engine, from BuildKit,
from the registry and from Go's network library, so they are matched by parts that have been stable for years.
"""

import re
from collections.abc import Sequence

from orchestrator.domain.ansi import visible
from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.wording import shorten

MAX_EVIDENCE = 700
"""Characters of an evidence text."""
_MAX_READ = 8000
"""Characters of a message that are looked at."""
_MAX_STEP = 80
"""Characters of the step that failed: what its command does matters less than how it ended."""
_MAX_LINE = 160
"""Characters of one line in it."""

_NAMES = re.compile(
    r"https?://[^\s\"'<>]+"
    r"|\blookup \S+"
    r"|(?<![\w/<.-])(?!i/o\b)(?:[\w.-]+(?::\d+)?)?/[\w./-]+(?:[:@]\w[\w.:-]*)?"  # an image, or a path
    r"|(?<![\w.-])(?!Client\.Timeout)[\w-]+(?:\.[\w-]+)+(?::\d+)?"  # a host
)
_TRANSIENT = re.compile(
    r"connection (?:reset|refused)|i/o timeout|TLS handshake timeout|\bEOF\b|dial tcp|no such host|broken pipe"
    r"|network is unreachable|no route to host|context deadline exceeded|Client\.Timeout|request canceled"
    r"|server misbehaving|temporary failure|toomanyrequests|too many requests|blob upload (?:unknown|invalid)"
    r"|(?:status|code)[^0-9]{0,20}(?:429|5\d\d)|\b50[0234] (?:Internal|Bad|Service|Gateway)|internal server error"
    r"|transport is closing|use of closed network connection",
    re.IGNORECASE,
)
_RUN = re.compile(r"executor failed running|did not complete successfully|returned a non-zero code", re.IGNORECASE)
_CODE = re.compile(r"code: (\d+)\s*\Z")
"""The exit code; the text before it repeats the whole command of the step."""
_DOCKERFILE = re.compile(
    r"dockerfile parse error|unknown instruction|target stage .* could not be found|failed to reach build target"
    r"|COPY failed|ADD failed|failed to compute cache key|failed to calculate checksum|invalid reference format"
    r"|circular dependency|requires at least|unknown flag",
    re.IGNORECASE,
)
_BASE = re.compile(
    r"failed to create LLB definition|failed to load metadata|failed to resolve source metadata|pull access denied"
    r"|manifest unknown|manifest for .* not found|manifest invalid|no matching manifest|no match for platform"
    r"|failed to do request|failed to authorize|insufficient_scope"
    r"|repository .* (?:not found|does not exist)|unauthorized|authorization failed|failed to copy"
    r"|does not match the specified platform|server gave HTTP response",
    re.IGNORECASE,
)
_FETCHED = re.compile(r"failed to solve with frontend gateway|/v2/", re.IGNORECASE)
_SESSION = re.compile(r"no active session", re.IGNORECASE)
_LOST = re.compile(r"no active session for \w|type=secret.*code = Unavailable desc = ", re.IGNORECASE | re.DOTALL)
"""Our session with the engine is over before the build is."""
_NO_SECRET = re.compile(r"secret (\S+)(?: not found)?: not found", re.IGNORECASE)
_CLASSIC = re.compile(r"requires BuildKit", re.IGNORECASE)
_DISK = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_BROKEN_OFF = re.compile(r"\A(?:rpc error: code = Canceled desc = |Canceled: )?context canceled\Z", re.IGNORECASE)
"""The build was ended in the engine, by whoever works there: that says nothing of what is built."""
_LEAD = re.compile(r"\A(?:failed to solve(?: with frontend [\w.]+)?: |failed to create LLB definition: )+")


def build_error(message: str, step: str = "", tail: Sequence[str] = ()) -> PilotageError:
    """Make the error of a failed build.

    :param step: the step that failed, as BuildKit names it; "" = not known. :param tail: its last lines.
    """
    message = shorten(message, _MAX_READ)
    text = one_line(_LEAD.sub("", message))
    if _DISK.search(message):
        return _disk(text)
    if _BROKEN_OFF.match(text):
        return Unavailable(Reason.ENGINE_UNAVAILABLE, f"the build was broken off in the engine: {text}")
    if _RUN.search(message):
        code = _CODE.search(message)
        return _bad_step(f"exit code: {code[1]}" if code and step else text, step, tail)
    if missing := _NO_SECRET.search(message):
        return Refused(Reason.SECRET_MISSING, f"{step or 'a step'} mounts `{missing[1]}`")
    if _LOST.search(f"{step} {message}"):
        return Unavailable(Reason.ENGINE_UNAVAILABLE, f"{step or 'a step'} could not be given its secrets: {text}")
    if _SESSION.search(message):
        return Refused(
            Reason.SOURCE_UNSUPPORTED,
            f"{step or 'a step'} needs secrets, ssh keys or a login; put secrets in the app's `build.secrets`, and"
            " base images in the configured registry",
        )
    if _CLASSIC.search(message):
        return Refused(Reason.SOURCE_UNSUPPORTED, f"{text}; set `build.builder: buildkit`")
    if _DOCKERFILE.search(message) or not (_BASE.search(_without_names(message)) or _FETCHED.search(message)):
        return _bad_step(text, step, tail)
    return pull_error(text)


def pull_error(message: str, image: str = "") -> PilotageError:
    """Say why a base image (or the frontend of a ``# syntax=`` line) cannot be pulled."""
    text = one_line(f"{image}: {message}" if image and image not in message else message)
    if _DISK.search(text):
        return _disk(text)
    kind = Unavailable if _TRANSIENT.search(_without_names(message)) else Refused
    return kind(Reason.BASE_IMAGE_UNAVAILABLE, text)


_LOGIN = r"unauthorized|denied|insufficient_scope|authentication required|no basic auth|forbidden|authorization"

_PUSH: tuple[tuple[str, type[Refused] | type[Unavailable], Reason, str], ...] = (
    # the first, as nothing else has the bare name of a project, which may be a word of the rows below
    (r"project \S+ not found", Refused, Reason.REGISTRY_PROJECT_MISSING, ""),
    (r"immutable", Refused, Reason.TAG_IMMUTABLE, ""),
    (r"exceed the configured upper limit|quota", Refused, Reason.REGISTRY_QUOTA, ""),
    # Harbor is read-only while it collects garbage and opens again by itself
    (r"read[- ]only", Unavailable, Reason.REGISTRY_READ_ONLY, ""),
    # of the proxy, never of the registry; Harbor's own says so, too, while it starts
    (
        r"\b413 (?:Request Entity|Payload|Content) Too Large|\b(?:HTTP|status:?) 413\b",
        Unavailable,
        Reason.REGISTRY_UNAVAILABLE,
        "if that lasts, raise the limit for bodies of the proxy before the registry (nginx: `client_max_body_size`)",
    ),
    (r"does not exist locally|No such image|tag does not exist", Refused, Reason.IMAGE_MISSING, ""),
    (
        r"x509|certificate",
        Refused,
        Reason.REGISTRY_REFUSED,
        "put the CA into /etc/docker/certs.d/<registry>/ca.crt on the engine's host",
    ),
    (
        r"server gave HTTP response to HTTPS client",
        Refused,
        Reason.REGISTRY_REFUSED,
        "use https, or add the registry to `insecure-registries` of the engine",
    ),
    (_LOGIN, Refused, Reason.REGISTRY_UNAUTHORIZED, ""),
)


def push_error(message: str) -> PilotageError:
    """Make the error of a failed push; an unknown network or server error is `Unavailable`, all else final."""
    text, said = one_line(message), _without_names(message)
    for pattern, kind, reason, advice in _PUSH:
        if re.search(pattern, said, re.IGNORECASE):
            return kind(reason, f"{text}; {advice}" if advice else text)
    if _TRANSIENT.search(said):
        return Unavailable(Reason.REGISTRY_UNAVAILABLE, text)
    return Refused(Reason.REGISTRY_REFUSED, text)


def foreign_error(status: int) -> PilotageError:
    """Make the error of an answer that is not the engine's, but of what stands between us and it."""
    said = f"HTTP {status}, not of the engine: see what a proxy in front of it allows, and whether it reaches it"
    later = status in (408, 429) or status >= 500
    return Unavailable(Reason.ENGINE_UNAVAILABLE, said) if later else Refused(Reason.ENGINE_REFUSED, said)


def refuses_login(error: PilotageError) -> bool:
    """Tell whether a pull or push failed since the registry wants another login than the engine's."""
    said = _without_names(error.evidence)
    return isinstance(error, Refused) and re.search(_LOGIN, said, re.IGNORECASE) is not None


def _without_names(text: str) -> str:
    """Take addresses, hosts and images out: an app may be called ``quota-service``, which is no word of the error."""
    return _NAMES.sub("_", " ".join(text.split()))


def one_line(text: str, limit: int = MAX_EVIDENCE) -> str:
    """Make one line of at most `limit` characters of `text`, without control characters (colours of a terminal)."""
    return shorten("".join(char if char.isprintable() else " " for char in visible(text)), limit)


def cause_of(error: BaseException) -> str:
    """Say why there is no connection: the innermost error says it best ("no such file or directory")."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror.lower()
        inner = inner.__cause__ or inner.__context__
    return one_line(str(error))


def _bad_step(text: str, step: str, tail: Sequence[str]) -> Refused:
    last = [line for line in (one_line(line, _MAX_LINE) for line in tail) if line][-3:]
    parts = [f"{one_line(step, _MAX_STEP)}: {text}" if step and step not in text else text]
    if last:
        parts.append("last lines: " + " / ".join(last))
    return Refused(Reason.BUILD_FAILED, one_line("; ".join(parts)))


def _disk(text: str) -> Refused:
    return Refused(Reason.ENGINE_REFUSED, f"the engine's disk is full ({text}); free some with `docker system prune`")
