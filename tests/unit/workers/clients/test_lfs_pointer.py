"""Pointers of Git LFS, by the letter of git-lfs's docs/spec.md."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.clients.lfs_pointer import MAX_POINTER, PREFIX, LfsPointer, is_pointer, parse_pointer

OID = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
VERSION = "version https://git-lfs.github.com/spec/v1\n"
SOUND = f"{VERSION}oid sha256:{OID}\nsize 12345\n"
"""What git-lfs 3 writes; the example of its documents."""


def test_a_pointer_says_what_stands_for_the_file() -> None:
    assert is_pointer(SOUND.encode())
    assert parse_pointer(SOUND.encode()) == LfsPointer(OID, 12345)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (f"{VERSION}oid sha256:{OID}\nsize 0\n", 0),
        (f"{VERSION}oid sha256:{OID}\nsize 9223372036854775807\n", 2**63 - 1),
        (f"{VERSION}oid sha256:{OID}\nsize 7\nz-new.key any words\n", 7),
        (f"{VERSION}a 1\noid sha256:{OID}\nsize 7\n", 7),
    ],
)
def test_any_size_and_keys_that_nobody_knows_yet_are_read(text: str, size: int) -> None:
    assert parse_pointer(text.encode()) == LfsPointer(OID, size)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("version https://git-lfs.github.com/spec/v2\noid sha256:" + OID + "\nsize 1\n", "a version that is known"),
        ("version https://hawser.github.com/spec/v1\noid sha256:" + OID + "\nsize 1\n", "a version that is known"),
        (f"oid sha256:{OID}\nsize 1\n{VERSION}", "a version that is known"),
        ("", "a version that is known"),
        (SOUND[:-1], "a line feed"),
        (SOUND.replace("\n", "\r\n"), "a line feed"),
        (SOUND.replace("size ", "size  "), "not a number of bytes"),
        (SOUND.replace("size ", "size\t"), "a line feed"),
        (SOUND.replace("oid ", "OID "), "a line feed"),
        (SOUND + "\n", "a line feed"),
        (SOUND + "x\n", "a line feed"),
        (f"{VERSION}size 1\noid sha256:{OID}\n", "not in order"),
        (f"{VERSION}oid sha256:{OID}\noid sha256:{OID}\nsize 1\n", "not in order"),
        (f"{VERSION}oid sha256:{OID}\nsize 1\n{VERSION}", "not in order"),
        (f"{VERSION}size 1\n", "its oid"),
        (f"{VERSION}oid sha256:{OID[:-1]}\nsize 1\n", "its oid"),
        (f"{VERSION}oid sha256:{OID}0\nsize 1\n", "its oid"),
        (f"{VERSION}oid sha256:{OID.upper()}\nsize 1\n", "its oid"),
        (f"{VERSION}oid sha512:{OID}\nsize 1\n", "its oid"),
        (f"{VERSION}oid sha256:../../{OID[6:]}\nsize 1\n", "its oid"),
        (f"{VERSION}oid sha256:{OID}\n", "its size"),
        (f"{VERSION}oid sha256:{OID}\nsize -1\n", "its size"),
        (f"{VERSION}oid sha256:{OID}\nsize 01\n", "its size"),
        (f"{VERSION}oid sha256:{OID}\nsize ١\n", "its size"),
        (f"{VERSION}oid sha256:{OID}\nsize 9223372036854775808\n", "its size"),
        (f"{VERSION}ext-0-foo sha256:{OID}\noid sha256:{OID}\nsize 1\n", "an extension"),
        (f"{VERSION}oid sha256:{OID}\nsize 1\nz {'z' * MAX_POINTER}\n", "1024 bytes"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_the_rule(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_pointer(text.encode())


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ValueError, match="UTF-8"):
        parse_pointer(PREFIX + b"v1\n\xff\n")


@pytest.mark.parametrize(
    ("content", "meant"),
    [
        (SOUND.encode(), True),
        (PREFIX + b"v9\n", True),
        (b"version 2\n", False),
        (b" " + SOUND.encode(), False),
        (PREFIX + b"x" * MAX_POINTER, False),
        (b"", False),
    ],
)
def test_what_begins_so_and_is_small_is_meant_as_a_pointer(content: bytes, meant: bool) -> None:
    assert is_pointer(content) is meant


PIECES = st.sampled_from([VERSION, f"oid sha256:{OID}\n", "size 1\n", "ext-0-a b\n", "\n", " ", "size", "é"])


@given(content=st.binary(max_size=2000) | st.lists(PIECES, max_size=8).map(lambda parts: "".join(parts).encode()))
def test_any_bytes_are_a_pointer_or_say_why_not(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert parse_pointer(content) == LfsPointer(OID, 1)
