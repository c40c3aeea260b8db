"""The kinds of values that a key can have: what is accepted, and the sentence when it is not."""

import re
import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, PlainValidator, StringConstraints
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from orchestrator.domain import durations
from orchestrator.domain.apps import Secret
from orchestrator.domain.paths import parse_path
from orchestrator.domain.refs import is_image_path, is_safe_ref_name

MESSAGE_FIELDS = ("app", "environment", "tag", "commit", "run")
"""What a commit message template may name."""

MAX_BUILD_SECRET = 64 * 1024
"""Bytes of a secret of a build: each line of each secret is looked for in each line of every log."""
MIN_SESSION_KEY = 32
"""Characters; 32 hexadecimal ones are 128 bits."""

_SECRET_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_SIZE = re.compile(r"(?P<number>\d+)\s*(?P<unit>B|[kKMG]i?B?)?\Z")
_POWERS = {"B": 0, "K": 1, "M": 2, "G": 3}
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_SCP = re.compile(r"(?P<user>[A-Za-z0-9._-]+)@(?P<host>[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):(?P<path>[^/:].*|/[^/].*)\Z")
_BIND = re.compile(r"(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]*):(?P<port>\d{1,5})\Z")
_PADDED = re.compile(r"\A[\s\ufeff\u200b]|[\s\ufeff\u200b]\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPED = "`%`, `/`, `?`, `#`, `@`, `[` and `]` as %25, %2F, %3F, %23, %40, %5B and %5D"
_HARD_TO_SEE = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class ValueType:
    """What the reference page calls a type of value."""

    words: str


def wrong(sentence: str) -> PydanticCustomError:
    """Make the error that a validator raises; the sentence is shown as it is."""
    return PydanticCustomError("pilotage", "{sentence}", {"sentence": sentence})


@dataclass(frozen=True, slots=True)
class Duration:
    """The kind of a length of time between `low` and `high` seconds: ``90``, ``90s``, ``10m``, ``1h``, ``1d``."""

    low: float
    high: float

    @property
    def words(self) -> str:
        """How the reference page calls it."""
        return f"duration, `{durations.short(self.low)}` to `{durations.short(self.high)}`"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.seconds, handler(source))

    def seconds(self, value: object) -> float:
        """Read a length of time as seconds."""
        try:
            seconds = durations.seconds(str(value))
        except ValueError as error:
            raise wrong(str(error)) from None
        if not self.low <= seconds <= self.high:
            raise wrong(f"must be between {durations.short(self.low)} and {durations.short(self.high)}")
        return seconds


def _size(value: object) -> int:
    match = _SIZE.match(str(value).strip())
    if match is None:
        raise wrong("is not a size; write bytes or a number with a unit, as in `10MiB`")
    unit = (match["unit"] or "B").upper()
    base = 1024 if "I" in unit else 1000
    return int(int(match["number"]) * base ** _POWERS[unit[0]])


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise wrong("must be a text")
    if not value.strip():
        raise wrong("is empty; an empty secret is never accepted (leave the key out if none is needed)")
    return Secret(value)


def is_padded(text: str) -> bool:
    """Tell whether there is white space around a text, as a newline that came along from a file."""
    return _PADDED.search(text) is not None


def _bare(text: str) -> str:
    """Refuse what nobody types in at a service, in what is sent there. Blanks inside a password are its own."""
    if is_padded(text):
        raise wrong(
            "begins or ends with white space, which would be sent along; take it off where the value comes from"
        )
    if _CONTROL.search(text):
        raise wrong("holds a line break or another control character; look where the value comes from")
    return text


def _credential(value: object) -> Secret:
    secret = _secret(value)
    _bare(secret.reveal())
    return secret


def _secret_id(text: str) -> str:
    if not _SECRET_ID.fullmatch(text):
        raise wrong("is no id; write up to 128 letters, digits, `_`, `.` and `-`")
    return text


def _build_secret(value: object) -> Secret:
    secret = _secret(value)
    try:
        size = len(secret.reveal().encode())
    except UnicodeEncodeError:
        raise wrong("is not text in UTF-8; look where the value comes from") from None
    if size > MAX_BUILD_SECRET:
        raise wrong(f"is larger than {MAX_BUILD_SECRET // 1024} KiB; put what is that large into a base image")
    return secret


def _bearer(value: object) -> Secret:
    """Take a token that is sent as RFC 6750 says, and so cannot hold what no header can."""
    secret = _secret(value)
    if not all("!" <= character <= "~" for character in secret.reveal()):
        raise wrong("holds a blank, a line break or a letter outside ASCII, which no token has; copy it anew")
    return secret


def _session_key(value: object) -> Secret:
    secret = _secret(value)
    if len(secret.reveal()) < MIN_SESSION_KEY:
        raise wrong(f"is shorter than {MIN_SESSION_KEY} characters; make one with `openssl rand -hex 32`")
    return secret


def _address(text: str, schemes: tuple[str, ...], what: str) -> SplitResult:
    """Split an address and refuse what no address here may have: blanks, credentials, query, odd schemes."""
    if _HARD_TO_SEE.search(text):
        raise wrong("holds a blank or a control character")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise wrong(f"is not {what}") from None
    if parts.scheme not in schemes or not parts.hostname or port == 0:
        raise wrong(f"is not {what} that begins with {' or '.join(f'`{scheme}://`' for scheme in schemes)}")
    if parts.password is not None or (parts.username is not None and parts.scheme != "ssh"):
        raise wrong("holds credentials; use the keys for them (`username`, `token`, `password`), which stay secret")
    return parts


def _service_url(text: str) -> str:
    parts = _address(text, ("https", "http"), "an address")
    if parts.query or parts.fragment:
        raise wrong("must not have a query (`?`) or a fragment (`#`)")
    return text.rstrip("/")


def _registry_url(text: str) -> str:
    if urlsplit(_service_url(text)).path.strip("/"):
        raise wrong("must not have a path; the project belongs into `image`")
    return text.rstrip("/")


def _secret_url(value: object) -> Secret:
    secret = _secret(value)
    _address(secret.reveal(), ("https", "http"), "an address")
    return secret


def repo_url(text: str) -> str:
    """Accept https, http and ssh addresses of a Git repository; refuse what could run a program or read a file."""
    if "::" in text.split("[", 1)[0]:
        raise wrong("uses a remote helper (`helper::address`), which is refused: it could run any program")
    if "://" not in text and _SCP.match(text) and ".." not in text.split("/"):
        return text
    parts = _address(text, ("https", "http", "ssh"), "a repository address")
    if parts.query or parts.fragment:
        raise wrong("must not have a query (`?`) or a fragment (`#`)")
    if (parts.hostname or "").startswith("-") or (parts.username or "").startswith("-"):
        raise wrong("has a host or user that begins with a dash")
    if not parts.path.strip("/") or ".." in parts.path.split("/"):
        raise wrong("names no repository")
    return text.rstrip("/")


def _relative(text: str) -> str:
    """Accept a path inside a repository: relative, forward slashes, no way out of it."""
    if text.startswith(("/", "~")) or "\\" in text or re.match(r"[A-Za-z]:", text):
        raise wrong("must be a path inside the repository, relative and with forward slashes")
    if ".." in text.split("/"):
        raise wrong("must stay inside the repository: `..` is refused")
    if ".git" in text.split("/") or "\x00" in text or "\n" in text:
        raise wrong("is not a path of a file in the repository")
    return text


def _file(text: str) -> str:
    normal = str(PurePosixPath(_relative(text)))
    if normal == "." or text.endswith("/"):
        raise wrong("names a folder, not a file")
    return normal


def _folder(text: str) -> str:
    return str(PurePosixPath(_relative(text)))


def _key_path(text: str) -> str:
    try:
        parse_path(text)
    except ValueError as error:
        raise wrong(f"is not the path of a value: it {error}") from None
    return text


def _image(text: str) -> str:
    if not is_image_path(text):
        raise wrong("is not an image name: lower-case letters, digits, `.`, `_`, `-` and `/`, without host and tag")
    return text


def _ref_rule(text: str) -> str:
    """Accept a branch or tag name, or a shell pattern of one."""
    if text.startswith("refs/"):
        raise wrong("must be the short name, without `refs/heads/` or `refs/tags/`")
    if text.count("[") != text.count("]"):
        raise wrong("has a `[` without its `]`")
    if not is_safe_ref_name(re.sub(r"\[[^\]]*\]|[*?]", "x", text)):
        raise wrong("is neither a branch or tag name nor a pattern of one, such as `main`, `release/*` or `v*`")
    return text


def _branch(text: str) -> str:
    if text.startswith("refs/") or not is_safe_ref_name(text):
        raise wrong("is not the short name of a branch")
    return text


def _name(text: str) -> str:
    if not _NAME.match(text):
        raise wrong("must be 1 to 63 lower-case letters, digits and dashes, with a letter or digit at both ends")
    return text


def _bind(text: str) -> str:
    match = _BIND.match(text)
    if match is None or int(match["port"]) > 65535:
        raise wrong("is not `host:port`, such as `127.0.0.1:8480` or `[::]:8480`")
    return text


def _message(text: str) -> str:
    """Check a template's fields with the parser that fills it in."""
    fields = ", ".join(f"{{{field}}}" for field in MESSAGE_FIELDS)
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError:
        raise wrong("has a single `{` or `}`; write `{{` and `}}` for plain braces") from None
    for _, name, spec, conversion in parsed:
        if name is not None and (name not in MESSAGE_FIELDS or spec or conversion):
            raise wrong(f"names the field `{{{name}}}`; only {fields} are filled in")
    if not text.strip() or "\n" in text or len(text) > 200:
        raise wrong("must be one line of at most 200 characters")
    return text


def _one_of_schemes(*schemes: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text and not text.startswith(schemes):
            raise wrong(f"must begin with {', '.join(f'`{scheme}`' for scheme in schemes)}")
        return text

    return check


def _readable(text: str) -> str:
    """Refuse an address that would be read in another way than intended; it is not repeated, as it is secret."""
    try:
        parts = urlsplit(text)  # its own error would repeat the password
        no_host = not parts.hostname and not parts.netloc.endswith("@")
        _ = parts.port
        cut = parts.netloc.count("@") > 1 or ("@" not in parts.netloc and "@" in text)
        meant_otherwise = parts.fragment or (parts.netloc and (no_host or cut))
    except ValueError:
        meant_otherwise = True
    if meant_otherwise and not text.startswith("sqlite:"):
        raise wrong(f"cannot be read; in its password write {_ESCAPED}, and what is not ASCII in that way, too")
    return text


Text = Annotated[str, StringConstraints(min_length=1, max_length=4096), ValueType("text")]
Maybe = Annotated[str, StringConstraints(max_length=4096), ValueType("text")]
"""A text that may be given as empty, which is the same as not given."""
Name = Annotated[str, AfterValidator(_name), ValueType("name")]
Size = Annotated[int, BeforeValidator(_size), Field(ge=1024, le=1024**3), ValueType("size")]
UserName = Annotated[Text, AfterValidator(_bare)]
MaybeUserName = Annotated[Maybe, AfterValidator(_bare)]
SecretText = Annotated[Secret, PlainValidator(_secret), ValueType("secret")]
"""Taken as it is: both sides sign with what was entered, white space included."""
SecretId = Annotated[str, AfterValidator(_secret_id)]
BuildSecret = Annotated[Secret, PlainValidator(_build_secret), ValueType("secret")]
Credential = Annotated[Secret, PlainValidator(_credential), ValueType("secret")]
BearerToken = Annotated[Secret, PlainValidator(_bearer), ValueType("secret")]
SessionKey = Annotated[Secret, PlainValidator(_session_key), ValueType("secret")]
SecretUrl = Annotated[Secret, PlainValidator(_secret_url), ValueType("secret address")]
ServiceUrl = Annotated[str, AfterValidator(_service_url), ValueType("address")]
RegistryUrl = Annotated[str, AfterValidator(_registry_url), ValueType("address")]
RepoUrl = Annotated[str, AfterValidator(repo_url), ValueType("repository address")]
RepoFile = Annotated[str, AfterValidator(_file), ValueType("path in the repository")]
RepoFolder = Annotated[str, AfterValidator(_folder), ValueType("path in the repository")]
KeyPath = Annotated[str, AfterValidator(_key_path), ValueType("key path")]
ImagePath = Annotated[str, AfterValidator(_image), ValueType("image name")]
Branch = Annotated[str, AfterValidator(_branch), ValueType("branch name")]
RefRule = Annotated[str, AfterValidator(_ref_rule), ValueType("name or pattern")]
Bind = Annotated[str, AfterValidator(_bind), ValueType("host:port")]
MessageTemplate = Annotated[str, AfterValidator(_message), ValueType("template")]
DatabaseUrl = Annotated[
    str,
    AfterValidator(_one_of_schemes("sqlite:///", "postgresql://", "postgresql+psycopg://")),
    AfterValidator(_bare),
    AfterValidator(_readable),
    ValueType("database address"),
]
BrokerUrl = Annotated[
    str,
    AfterValidator(_one_of_schemes("redis://", "rediss://", "redis+socket://")),
    AfterValidator(_bare),
    AfterValidator(_readable),
    ValueType("Redis address"),
]
DockerHost = Annotated[
    str, AfterValidator(_one_of_schemes("unix://", "tcp://", "https://", "http://")), ValueType("address")
]
