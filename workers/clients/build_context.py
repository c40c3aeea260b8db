"""The build context: which files of a commit go to the engine, and in what pieces.

The source mirror makes the tar stream (exact bytes, GNU format, owner 0:0, which keeps BuildKit from taking it for a
Dockerfile and gives the same layers for the same commit); what is left out of it is decided here.
"""

import posixpath
from collections.abc import Callable, Iterator
from typing import IO

from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from workers.clients.dockerignore import Ignore, read_patterns

_PIECE = 256 * 1024
"""Bytes that are sent at a time."""


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


def ignore_files(dockerfile: str, builder: str) -> tuple[str, ...]:
    """Return the paths of the files that may hold the rules; the first one that exists counts.

    ``<dockerfile>.dockerignore`` goes first, and only BuildKit knows it.
    """
    return (".dockerignore",) if builder == "classic" else (f"{dockerfile}.dockerignore", ".dockerignore")


class ContextFilter:
    """Tells for a path inside the context whether the engine must not get it.

    The Dockerfile is always sent: the rules may name it only to keep it out of the image.
    """

    def __init__(self, ignore: Ignore, dockerfile: str, checkpoint: Callable[[], None]) -> None:
        self._ignore = ignore
        self._dockerfile = dockerfile
        self._checkpoint = checkpoint

    def __call__(self, path: str) -> bool:
        """Tell it for one file or folder."""
        self._checkpoint()
        return path != self._dockerfile and self._ignore.ignores(path)

    def whole(self, folder: str) -> bool:
        """Tell whether a folder is left out for sure with all that may be in it."""
        self._checkpoint()
        return not self._dockerfile.startswith(f"{folder}/") and self._ignore.ignores_all_in(folder)


def left_out(
    dockerignore: bytes | None, dockerfile: str, checkpoint: Callable[[], None] = lambda: None
) -> ContextFilter:
    """Return what tells for a path inside the context whether the engine must not get it.

    :param dockerignore: the rules; None: nothing is left out. :param dockerfile: from `dockerfile_path`.
    :param checkpoint: called for each path; raises when the work is to stop.
    """
    return ContextFilter(Ignore(read_patterns(dockerignore or b"")), dockerfile, checkpoint)


def pieces(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield a stream in pieces of bounded size."""
    while piece := stream.read(_PIECE):
        yield piece
