"""One request of a forge, read from its WSGI environ (PEP 3333): the little of HTTP that a webhook needs."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from werkzeug.http import parse_options_header
from werkzeug.sansio.utils import get_content_length

from webhooks.headers import Headers

_BARE = ("CONTENT_TYPE", "CONTENT_LENGTH")
"""Headers that stand in an environ without ``HTTP_``."""


class HookRequest:
    """A request whose body has not been read.

    ``environ``: as the server made it; ``path``: with the one under which we are served; ``content_length``: bytes
    that were announced, None where none were, or where the body comes in chunks.
    """

    __slots__ = ("content_length", "environ", "headers", "method", "path", "remote")

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        # WSGI hands bytes over as Latin-1 text.
        path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        self.path = path.encode("latin-1").decode("utf-8", "replace")
        self.remote: str = environ.get("REMOTE_ADDR") or ""
        self.headers = Headers((header, value) for name, value in environ.items() if (header := _header(name)))
        length = environ.get("CONTENT_LENGTH") or None
        self.content_length = get_content_length(length, environ.get("HTTP_TRANSFER_ENCODING"))

    def content_type(self) -> tuple[str, Mapping[str, str]]:
        """Return the media type, in lower case, and its parameters."""
        return _content_type(self.headers.get("content-type", ""))


@lru_cache(maxsize=64)  # each forge has one
def _content_type(text: str) -> tuple[str, Mapping[str, str]]:
    media_type, parameters = parse_options_header(text)
    return media_type.lower(), parameters


@lru_cache(maxsize=256)  # each forge has a dozen
def _header(name: str) -> str:
    """Return the header that a name in an environ stands for; "" for what is none."""
    rest = name.removeprefix("HTTP_")
    return rest.replace("_", "-").lower() if (rest in _BARE) == (rest == name) else ""
