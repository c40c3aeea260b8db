"""The rules by which Harbor refuses: its error codes and bodies, immutable tags, quotas, blocked pulls, CSRF."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

STATUS: Mapping[str, int] = {
    "BAD_REQUEST": 400,
    "DIGEST_INVALID": 400,
    "MANIFEST_INVALID": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "DENIED": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "CONFLICT": 409,
    "PRECONDITION": 412,
    "PROJECTPOLICYVIOLATION": 412,
    "VIOLATE_FOREIGN_KEY_CONSTRAINT": 412,
    "REQUEST_ENTITY_TOO_LARGE": 413,
    "UNPROCESSABLE_ENTITY": 422,
    "TOO_MANY_REQUEST": 429,
    "UNKNOWN": 500,
}
"""HTTP status of each error code (src/lib/http/error.go in goharbor/harbor)."""
SEVERITIES = ("None", "Unknown", "Negligible", "Low", "Medium", "High", "Critical")
"""Harbor's severities, from harmless to worst."""
JSON_TYPE = "application/json; charset=utf-8"
READ_ONLY = "The system is in read only mode. Any modification is prohibited."
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_GLOB = re.compile(r"\*\*|\*|\?|\{[^{}]*\}|[^*?{]+|\{")


class HarborError(Exception):
    """An answer that is an error: Harbor's code, and the message that it shows."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """HTTP status of the answer."""
        return STATUS[self.code]

    @property
    def body(self) -> bytes:
        """The answer's body: ``{"errors": [{"code", "message"}]}``."""
        return json.dumps({"errors": [{"code": self.code, "message": self.message}]}).encode() + b"\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Immutable:
    """A rule that tags cannot change once they are pushed; both are patterns as in `matches`.

    :param repositories: path of the repository without the project.
    """

    repositories: str = "**"
    tags: str = "**"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPolicy:
    """How one project behaves.

    :param public: everybody may pull. :param auto_scan: each push starts a scan.
    :param block_from: an image that is not scanned, or has a vulnerability from this severity on (``High``), cannot
        be pulled; "" = every image can. :param quota: bytes that the project may hold; -1 = any number.
    """

    public: bool = False
    auto_scan: bool = False
    block_from: str = ""
    quota: int = -1
    immutable: tuple[Immutable, ...] = ()

    @classmethod
    def from_request(cls, metadata: Mapping[str, object], storage_limit: object) -> "ProjectPolicy":
        """Read the ``metadata`` (all values are strings) and ``storage_limit`` of ``POST /projects``."""
        flags = {name: str(value).lower() == "true" for name, value in metadata.items()}
        severity = str(metadata.get("severity", "")).capitalize()
        limit = storage_limit if isinstance(storage_limit, int) and storage_limit > 0 else -1
        return cls(
            public=flags.get("public", False),
            auto_scan=flags.get("auto_scan", False),
            block_from=(severity if severity in SEVERITIES else "Low") if flags.get("prevent_vul") else "",
            quota=limit,
        )

    def metadata(self) -> dict[str, str]:
        """Return the project's ``metadata`` as Harbor shows it."""
        shown = {"public": self.public, "auto_scan": self.auto_scan, "prevent_vul": bool(self.block_from)}
        texts = {name: str(value).lower() for name, value in shown.items()}
        return texts | ({"severity": self.block_from.lower()} if self.block_from else {})

    def keeps(self, repository: str, tag: str) -> bool:
        """Tell whether a tag cannot change any more; `repository` is the path without the project."""
        return any(matches(rule.repositories, repository) and matches(rule.tags, tag) for rule in self.immutable)

    def check_quota(self, used: int, adding: int) -> None:
        """Refuse what the project has no room for.

        :raises HarborError: DENIED.
        """
        if 0 <= self.quota < used + adding and adding:
            raise HarborError(
                "DENIED",
                f"adding {human_bytes(adding)} of storage resource, which when updated to current usage of"
                f" {human_bytes(used)} will exceed the configured upper limit of {human_bytes(self.quota)}.",
            )

    def check_pull(self, scanned: bool, severities: Mapping[str, int]) -> None:
        """Refuse to hand out what the policy blocks.

        :param scanned: a scan has succeeded. :param severities: how many findings it has of which severity.
        :raises HarborError: PROJECTPOLICYVIOLATION.
        """
        if not self.block_from:
            return
        rule = f"'Prevent images with vulnerability severity of \"{self.block_from}\" or higher from running.'"
        if not scanned:
            raise HarborError(
                "PROJECTPOLICYVIOLATION",
                "current image without vulnerability scanning cannot be pulled due to configured policy in"
                f" {rule} To continue with pull, please contact your project administrator for help.",
            )
        gate = SEVERITIES.index(self.block_from)
        count = sum(number for name, number in severities.items() if SEVERITIES.index(name) >= gate)
        if count:
            raise HarborError(
                "PROJECTPOLICYVIOLATION",
                f"current image with {count} {'vulnerability' if count == 1 else 'vulnerabilities'} cannot be"
                f" pulled due to configured policy in {rule} To continue with pull, please contact your project"
                " administrator to exempt matched vulnerabilities through configuring the CVE allowlist.",
            )


def immutable_push(repository: str, tag: str) -> HarborError:
    """Return the refusal of a push over an immutable tag; it names the repository without the project."""
    return HarborError(
        "PRECONDITION", f"Failed to process request due to '{repository}:{tag}' configured as immutable."
    )


def matches(pattern: str, text: str) -> bool:
    """Tell whether a doublestar pattern fits: ``**`` = anything, ``*`` = anything but ``/``, ``{a,b}`` = either."""
    parts = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    made = "".join(parts.get(part) or _one_of(part) for part in _GLOB.findall(pattern))
    return re.fullmatch(made, text) is not None


def _one_of(part: str) -> str:
    if part.startswith("{") and part.endswith("}"):
        return "(?:" + "|".join(re.escape(one) for one in part[1:-1].split(",")) + ")"
    return re.escape(part)


def human_bytes(number: int) -> str:
    """Write a size as Harbor does: ``46.0 MiB``."""
    size, unit = float(number), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f} {_UNITS[unit]}"


def check_csrf(method: str, cookie: str, csrf_token: str) -> None:
    """Refuse a change that comes with Harbor's session cookie, as clients with a cookie jar send it.

    :param cookie: the ``Cookie`` header. :param csrf_token: the ``X-Harbor-CSRF-Token`` header.
    :raises HarborError: FORBIDDEN.
    """
    if method not in _SAFE and has_session(cookie):
        words = "invalid" if csrf_token else "not found in request"
        raise HarborError("FORBIDDEN", f"CSRF token {words}")


def has_session(cookie: str) -> bool:
    """Tell whether a ``Cookie`` header carries Harbor's ``sid``."""
    try:
        return "sid" in SimpleCookie(cookie)
    except CookieError:
        return False
