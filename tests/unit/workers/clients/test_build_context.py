"""The tar stream on its way to the engine."""

import io
import tarfile
from collections.abc import Iterable

import pytest

from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from workers.clients.build_context import dockerfile_path, excluded, filtered, ignore_files


def pax(files: dict[str, bytes]) -> bytes:
    """Pack as `git archive` does: a global PAX header, folders, owners."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "c" * 40}) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.uid, info.gid, info.uname, info.mtime = 1000, 1000, "root", 1_700_000_000
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def unpack(parts: Iterable[bytes]) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(parts)), mode="r:") as tar:
        return {member.name: member for member in tar.getmembers()}


def test_what_the_rules_leave_out_is_not_sent() -> None:
    source = pax(
        {"Dockerfile": b"FROM a", "src/": b"", "src/app.py": b"x", "secret.env": b"s", "deep/": b"", "deep/a": b"1"}
    )
    names = unpack(filtered(io.BytesIO(source), b"secret.env\ndeep\n", "Dockerfile"))
    assert set(names) == {"Dockerfile", "src", "src/app.py"}


def test_the_dockerfile_is_sent_even_when_the_rules_say_no() -> None:
    source = pax({"docker/Dockerfile": b"FROM a", "docker/other": b""})
    assert set(unpack(filtered(io.BytesIO(source), b"*", "docker/Dockerfile"))) == {"docker/Dockerfile"}


def test_entries_are_plain_and_complete() -> None:
    long = "ordner/" + "ä" * 120 + ".txt"
    content = bytes(range(256)) * 5000
    packed = b"".join(filtered(io.BytesIO(pax({long: content, "empty": b""})), None, "Dockerfile"))
    assert b"pax" not in packed[:512].lower()
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:") as tar:
        member = tar.getmember(long)
        read = tar.extractfile(member)
        assert read is not None
        assert read.read() == content
        assert (member.uid, member.gid, member.uname, member.mtime) == (0, 0, "", 1_700_000_000)
        assert not member.pax_headers
        assert tar.getmember("empty").size == 0


def test_links_stay_links() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "../outside"
        tar.addfile(info)
    link = unpack(filtered(io.BytesIO(packed.getvalue()), None, "Dockerfile"))["link"]
    assert (link.issym(), link.linkname) == (True, "../outside")


class Endless(io.RawIOBase):
    """A tar of one large file that is made while it is read."""

    def __init__(self, size: int) -> None:
        info = tarfile.TarInfo("large")
        info.size = size
        self.head, self.left = info.tobuf(tarfile.GNU_FORMAT), size + 1024

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self.head:
            part, self.head = self.head[:size], self.head[size:]
            return part
        part = b"\0" * min(size, self.left)
        self.left -= len(part)
        return part


def test_a_large_file_goes_through_in_pieces() -> None:
    largest = max(len(part) for part in filtered(Endless(64 * 1024 * 1024), None, "Dockerfile"))  # type: ignore[arg-type]
    assert largest <= 1024 * 1024


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 5\n"


def test_a_pointer_instead_of_a_file_is_refused() -> None:
    with pytest.raises(Refused, match=r"model\.bin") as caught:
        list(filtered(io.BytesIO(pax({"model.bin": POINTER})), None, "Dockerfile"))
    assert caught.value.reason is Reason.SOURCE_UNSUPPORTED


def test_a_pointer_that_the_rules_leave_out_does_no_harm() -> None:
    assert unpack(filtered(io.BytesIO(pax({"model.bin": POINTER})), b"*.bin", "Dockerfile")) == {}


def test_a_stream_that_is_cut_off_is_an_error() -> None:
    source = pax({"a": b"x" * 5000})
    with pytest.raises((tarfile.TarError, OSError)):
        list(filtered(io.BytesIO(source[:3000]), None, "Dockerfile"))


@pytest.mark.parametrize(
    ("given", "plain"),
    [("Dockerfile", "Dockerfile"), ("./a//Dockerfile", "a/Dockerfile"), ("a/../Dockerfile", "Dockerfile")],
)
def test_dockerfile_paths_become_plain(given: str, plain: str) -> None:
    assert dockerfile_path(given) == plain


@pytest.mark.parametrize("given", ["", ".", "..", "/etc/passwd", "../Dockerfile", "a/../../x", "a\\b", "a\0b"])
def test_dockerfiles_outside_the_context_are_refused(given: str) -> None:
    with pytest.raises(Refused) as caught:
        dockerfile_path(given)
    assert caught.value.reason is Reason.CONFIG_INVALID


def test_the_dockerfiles_own_rules_go_first() -> None:
    assert ignore_files("docker/web.Dockerfile") == ("docker/web.Dockerfile.dockerignore", ".dockerignore")


def test_no_rules_leave_nothing_out() -> None:
    assert not excluded("a", None)
    assert excluded("a", b"a")
