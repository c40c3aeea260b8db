"""The build context: a repository's tar stream on its way to the engine, filtered and made plain.

Nothing is written to disk and the memory in use does not grow with the repository.
"""

import posixpath
import tarfile
from collections.abc import Iterator
from typing import IO

from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from workers.clients.dockerignore import Ignore, read_patterns

_BLOCK = 512
_CHUNK = 256 * 1024
_LFS = b"version https://git-lfs.github.com/spec/v1\n"
_LFS_LIMIT = 1024
"""Bytes below which a file can be a Git LFS pointer (git-lfs docs/spec.md)."""


def dockerfile_path(dockerfile: str) -> str:
    """Return the Dockerfile's path inside the context in its plain form (``./a//Dockerfile`` -> ``a/Dockerfile``).

    :raises Refused: CONFIG_INVALID, it is empty, absolute or leads out of the context.
    """
    plain = posixpath.normpath(dockerfile) if dockerfile else ""
    if plain in ("", ".", "..") or plain.startswith(("/", "../")) or "\\" in plain or "\x00" in plain:
        raise Refused(
            Reason.CONFIG_INVALID,
            f"build.dockerfile {dockerfile!r} is not a path inside the build context; write it relative to"
            " build.context",
        )
    return plain


def ignore_files(dockerfile: str) -> tuple[str, str]:
    """Return the paths of the files that may hold the rules; the first one that exists counts (BuildKit's rule)."""
    return f"{dockerfile}.dockerignore", ".dockerignore"


def excluded(path: str, dockerignore: bytes | None) -> bool:
    """Tell whether the rules leave out `path`."""
    return Ignore(read_patterns(dockerignore or b"")).ignores(path)


def filtered(tar_in: IO[bytes], dockerignore: bytes | None, dockerfile: str) -> Iterator[bytes]:
    """Yield the tar stream `tar_in` without what the rules leave out, as the engine likes it.

    GNU format, because BuildKit takes a stream that begins with a PAX header for a Dockerfile; owner 0:0 without
    names, so that the same commit gives the same layers; the Dockerfile is always part of it.

    :param dockerignore: the rules; None: nothing is left out.
    :param dockerfile: its path inside the context, from `dockerfile_path`.
    :raises Refused: SOURCE_UNSUPPORTED, a file is a Git LFS pointer instead of its content.
    :raises tarfile.TarError, OSError: the input is broken or cut off.
    """
    ignore = Ignore(read_patterns(dockerignore or b""))
    with tarfile.open(fileobj=tar_in, mode="r|") as tar:
        while (member := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # else every header stays in memory
            path = member.name.rstrip("/")
            if path in ("", ".") or (path != dockerfile and ignore.ignores(path)):
                continue
            content = tar.extractfile(member) if member.isreg() else None
            yield from _entry(member, content)
    yield b"\0" * (2 * _BLOCK)


def _entry(member: tarfile.TarInfo, content: IO[bytes] | None) -> Iterator[bytes]:
    head = content.read(_LFS_LIMIT) if content is not None else b""
    if member.size < _LFS_LIMIT and head.startswith(_LFS):
        raise Refused(
            Reason.SOURCE_UNSUPPORTED,
            f"{member.name} is a Git LFS pointer, and its content is not fetched; commit the file itself, or name"
            " it in .dockerignore when the image does not need it",
        )
    member.pax_headers = {}
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    yield member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    if content is None:
        return
    yield head
    while chunk := content.read(_CHUNK):
        yield chunk
    if member.size % _BLOCK:
        yield b"\0" * (_BLOCK - member.size % _BLOCK)
