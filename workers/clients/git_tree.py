"""What a tree of Git holds: its entries, and the paths that lead to them."""

import posixpath
import re
from dataclasses import dataclass

_BAD_PATH = re.compile(r"[\x00-\x1f\x7f\\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeEntry:
    """One entry of a tree: its mode ("100644", "100755", "120000", "160000", "040000"), object and size in bytes."""

    path: str
    mode: str
    object: str
    size: int

    @property
    def is_file(self) -> bool:
        """Whether it is a plain file, executable or not."""
        return self.mode in ("100644", "100755")

    @property
    def kind(self) -> str:
        """What it is, for people."""
        return {"120000": "a symbolic link", "160000": "a submodule", "040000": "a folder"}.get(self.mode, "a file")


def path_fault(path: str) -> str:
    """Say why a path cannot name a file inside a repository; "" if it can."""
    if _BAD_PATH.search(path):
        return "holds a backslash or a control character"
    if not path or path.startswith("/"):
        return "is not a path inside the repository"
    parts = path.split("/")
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        return "leaves the repository or is not in its plain form"
    return "is too long" if len(path.encode("utf-8", "replace")) > 4096 else ""


def folders_above(path: str) -> list[str]:
    """List the folders above a path, outermost first."""
    parts = posixpath.dirname(path).split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)] if parts[0] else []


def os_text(name: bytes) -> str:
    """Decode a path of a tree; bytes that are not UTF-8 survive the way back (PEP 383)."""
    return name.decode("utf-8", "surrogateescape")


def parse_tree(listing: bytes) -> list[TreeEntry]:
    """Parse ``ls-tree -z -l``: ``<mode> <type> <object> <size or -> TAB <path> NUL``."""
    entries = []
    for line in listing.split(b"\0"):
        if line:
            about, _, name = line.partition(b"\t")
            mode, _, identity, size = about.decode("ascii").split()
            count = int(size) if size.isdigit() else 0
            entries.append(TreeEntry(path=os_text(name), mode=mode, object=identity, size=count))
    return entries
