"""What is in a tar stream."""

import io
import tarfile


def members(raw: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return {member.name: member for member in tar.getmembers()}


def contents(raw: bytes) -> dict[str, bytes]:
    """Return the files alone, by their paths."""
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        files = {member.name: tar.extractfile(member) for member in tar.getmembers() if member.isreg()}
        return {name: file.read() for name, file in files.items() if file}
