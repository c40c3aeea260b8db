"""Rules for names that come from outside: commits, branches, tags, repository addresses, images."""

import hashlib
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from urllib.parse import urlsplit

from orchestrator.domain.events import RefKind

_SHA = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_SCP = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>[^/:\[]+|\[[^\]/]+\]):(?P<path>(?!//).+)\Z")
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|\Z)")
_IMAGE_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_IMAGE_HOST = re.compile(r"[^/]*[.:][^/]*|localhost")
_IMAGE_PATH = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*\Z")

MAX_REF_LENGTH = 250
"""Characters of a ref that we accept; Git itself allows about 4,096, forges about 255."""


def is_sha(text: str) -> bool:
    """Tell whether `text` is a full object id: 40 (SHA-1) or 64 (SHA-256) lower-case hex digits."""
    return _SHA.match(text) is not None


def is_zero(text: str) -> bool:
    """Tell whether `text` is the "no object" id: only zeros, of either length."""
    return not text.strip("0") and is_sha(text)


def split_ref(ref: str) -> tuple[RefKind, str] | None:
    """Split ``refs/heads/x`` or ``refs/tags/x`` into kind and name; None for any other ref."""
    for prefix, kind in (("refs/heads/", RefKind.BRANCH), ("refs/tags/", RefKind.TAG)):
        if ref.startswith(prefix) and len(ref) > len(prefix):
            return kind, ref.removeprefix(prefix)
    return None


def is_safe_ref_name(name: str) -> bool:
    """Tell whether a branch or tag name is one that Git itself would create (git-check-ref-format).

    Names that begin with a dash are refused too: Git refuses to create such branches, and they look like options.
    """
    if not name or len(name) > MAX_REF_LENGTH or name[0] in "-/." or name[-1] in "/.":
        return False
    return name != "@" and _BAD_REF.search(name) is None


def ref_matches(rule: str, name: str) -> bool:
    """Tell whether a branch or tag name satisfies a rule: exact, or a shell pattern such as ``release/*``."""
    return rule == name or fnmatchcase(name, rule)


@lru_cache(maxsize=512)  # the same few, a dozen times for each delivery
def repo_key(url: str) -> str:
    """Reduce a repository address to ``host[:port]/path`` so that https, ssh and ``.git`` forms compare equal.

    >>> repo_key("git@Git.example.com:acme/web.git") == repo_key("https://git.example.com/acme/web")
    True
    """
    host, port, path = _split_repo(url)
    return f"{host}{port}/{path}".lower()


def is_on(forge: str, repo: str) -> bool:
    """Tell whether an address of a repository leads to a forge. :param forge: its web address.

    The port of an ``ssh`` address is not the forge's; that of another web address is another forge.
    """
    (host, port, _), (other, other_port, _) = _split_repo(forge), _split_repo(repo)
    is_web = repo.startswith(("http://", "https://"))
    return host.lower() == other.lower() and (port == other_port or not is_web)


def repo_path(url: str) -> str:
    """Return a repository's path on its machine: ``acme/plate-web``."""
    return _split_repo(url)[2]


def _split_repo(url: str) -> tuple[str, str, str]:
    """Split an address into host, port (``:8443``; "" where it does not matter) and path without ``.git``."""
    scp = None if "://" in url else _SCP.match(url)
    port = ""
    if scp:
        host, path = scp["host"].strip("[]"), scp["path"]
    else:
        parts = urlsplit(url)
        host, path = parts.hostname or "", parts.path
        if parts.scheme in ("http", "https") and parts.port not in (None, 80, 443):
            port = f":{parts.port}"
    return host, port, path.strip("/").removesuffix(".git").strip("/")


def image_tag(commit: str, inputs: str = "") -> str:
    """Name the image of a commit: ``sha-`` and 12 digits, plus 8 for build inputs that are not the default.

    The letters in front keep YAML and Helm from reading a number (helm#1707); `inputs` is any text that describes
    the build options, so that other options for the same commit never reuse an image built without them.
    """
    suffix = f"-{hashlib.sha256(inputs.encode()).hexdigest()[:8]}" if inputs else ""
    return f"sha-{commit[:12]}{suffix}"


def is_image_tag(tag: str) -> bool:
    """Tell whether `tag` follows the registry's rule for tags (OCI distribution spec)."""
    return _IMAGE_TAG.match(tag) is not None


def is_image_path(path: str) -> bool:
    """Tell whether `path` follows the registry's rule for repository names (OCI distribution spec)."""
    return len(path) <= 255 and _IMAGE_PATH.match(path) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The parts of ``host/path:tag@digest``; a part that is not written is ""."""

    host: str
    path: str
    tag: str
    digest: str

    @classmethod
    def parse(cls, image: str) -> "Reference":
        """Split an image reference. Any text gives an answer; what has no host (``nginx:1.27``) has the host ""."""
        name, _, digest = image.strip().partition("@")
        first, slash, rest = name.partition("/")
        host, path = (first, rest) if slash and _IMAGE_HOST.fullmatch(first) else ("", name)
        head, colon, tag = path.rpartition(":")
        if colon and "/" not in tag:
            return cls(host=host, path=head, tag=tag, digest=digest)
        return cls(host=host, path=path, tag="", digest=digest)

    @property
    def name(self) -> str:
        """The host and the path: ``harbor.example.com/plate/plate-web``."""
        return f"{self.host}/{self.path}" if self.host else self.path

    @property
    def version(self) -> str:
        """What follows the name for a registry: the digest, or the tag when the image is not named by a digest."""
        return self.digest or self.tag

    @property
    def engine_tag(self) -> str:
        """What the API of a Docker engine wants as the tag: the version, or ``latest`` where none is written."""
        return self.version or "latest"
